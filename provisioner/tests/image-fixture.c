/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <glib/gstdio.h>
#include <string.h>

#include "autoptr.h"
#include "cache.h"
#include "image-fixture.h"

static guint64
append(GByteArray *out, const void *data, gsize length)
{
    static const guint8 zeros[8];
    guint64 at = out->len;
    g_byte_array_append(out, data, length);
    g_byte_array_append(out, zeros, -out->len & 7);
    return at;
}

static void
add_segment(GByteArray *out, Elf64_Phdr *segment, guint32 type, guint64 at, guint64 size)
{
    *segment = (Elf64_Phdr){.p_type = type,
                            .p_offset = at,
                            .p_vaddr = at,
                            .p_filesz = size,
                            .p_memsz = size,
                            .p_align = 4};
}

static void
add_dynamic(GByteArray *out, Elf64_Phdr *segment, const FakeElf *elf)
{
    g_autoptr(GByteArray) strings = g_byte_array_new();
    g_autoptr(GArray) entries = g_array_new(FALSE, TRUE, sizeof(Elf64_Dyn));
    g_byte_array_append(strings, (const guint8 *)"", 1);
    for (const char *const *name = elf->needed; *name; name++) {
        Elf64_Dyn entry = {.d_tag = DT_NEEDED, .d_un.d_val = strings->len};
        g_array_append_val(entries, entry);
        g_byte_array_append(strings, (const guint8 *)*name, strlen(*name) + 1);
    }
    if (elf->runpath) {
        Elf64_Dyn entry = {.d_tag = DT_RUNPATH, .d_un.d_val = strings->len};
        g_array_append_val(entries, entry);
        g_byte_array_append(strings, (const guint8 *)elf->runpath,
                            strlen(elf->runpath) + 1);
    }
    guint64 strings_at = append(out, strings->data, strings->len);
    Elf64_Dyn rest[] = {{.d_tag = DT_STRTAB, .d_un.d_ptr = strings_at},
                        {.d_tag = DT_STRSZ, .d_un.d_val = strings->len},
                        {.d_tag = DT_NULL}};
    g_array_append_vals(entries, rest, G_N_ELEMENTS(rest));
    gsize size = entries->len * sizeof(Elf64_Dyn);
    add_segment(out, segment, PT_DYNAMIC, append(out, entries->data, size), size);
}

static void
add_note(GByteArray *out, Elf64_Phdr *segment, const FakeElf *elf)
{
    gsize owner_size = strlen(elf->note_owner) + 1;
    Elf64_Nhdr note = {owner_size, 4, elf->note_type};
    g_autoptr(GByteArray) data = g_byte_array_new();
    g_byte_array_append(data, (const guint8 *)&note, sizeof note);
    g_byte_array_append(data, (const guint8 *)elf->note_owner, owner_size);
    g_byte_array_append(data, (const guint8 *)"\0\0\0", -owner_size & 3);
    g_byte_array_append(data, (const guint8 *)"\0\0\0\1", 4);
    add_segment(out, segment, PT_NOTE, append(out, data->data, data->len), data->len);
}

static void
add_modinfo(GByteArray *out, Elf64_Ehdr *header, const char *modinfo)
{
    static const char names[] = "\0.modinfo\0.names";
    g_autofree char *strings = g_strdelimit(g_strdup(modinfo), "\n", '\0');
    gsize length = strlen(modinfo);
    Elf64_Shdr sections[3] = {
        [1] = {.sh_name = 1,
               .sh_type = SHT_PROGBITS,
               .sh_size = length,
               .sh_addralign = 1},
        [2] = {.sh_name = 10,
               .sh_type = SHT_STRTAB,
               .sh_size = sizeof names,
               .sh_addralign = 1},
    };
    sections[1].sh_offset = append(out, strings, length);
    sections[2].sh_offset = append(out, names, sizeof names);
    header->e_shoff = append(out, sections, sizeof sections);
    header->e_shnum = G_N_ELEMENTS(sections);
    header->e_shstrndx = 2;
    header->e_shentsize = sizeof(Elf64_Shdr);
}

GBytes *
fake_elf(const FakeElf *elf)
{
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr segments[4];
    } head = {.header = {.e_ident = ELFMAG,
                         .e_type = ET_DYN,
                         .e_machine = EM_X86_64,
                         .e_version = EV_CURRENT,
                         .e_phoff = sizeof(Elf64_Ehdr),
                         .e_ehsize = sizeof(Elf64_Ehdr),
                         .e_phentsize = sizeof(Elf64_Phdr)}};
    head.header.e_ident[EI_CLASS] = ELFCLASS64;
    head.header.e_ident[EI_DATA] = ELFDATA2LSB;
    head.header.e_ident[EI_VERSION] = EV_CURRENT;
    GByteArray *out = g_byte_array_new();
    append(out, &head, sizeof head);
    guint count = 1;
    if (elf->interpreter) {
        gsize size = strlen(elf->interpreter) + 1;
        add_segment(out, &head.segments[count++], PT_INTERP,
                    append(out, elf->interpreter, size), size);
    }
    if (elf->needed)
        add_dynamic(out, &head.segments[count++], elf);
    if (elf->note_owner)
        add_note(out, &head.segments[count++], elf);
    if (elf->modinfo)
        add_modinfo(out, &head.header, elf->modinfo);
    if (elf->tail)
        append(out, elf->tail, strlen(elf->tail));
    add_segment(out, &head.segments[0], PT_LOAD, 0, out->len);
    head.header.e_phnum = count;
    memcpy(out->data, &head, sizeof head);
    return g_byte_array_free_to_bytes(out);
}

typedef struct {
    GByteArray *out;
} Sink;

static la_ssize_t
write_to_sink(struct archive *archive, void *data, const void *block, size_t length)
{
    g_byte_array_append(((Sink *)data)->out, block, length);
    return length;
}

GBytes *
fake_gzip(const void *data, gsize length)
{
    Sink sink = {g_byte_array_new()};
    g_autoptr(ArchiveWriter) archive = archive_write_new();
    g_autoptr(ArchiveEntry) entry = archive_entry_new();
    archive_write_add_filter_gzip(archive);
    archive_write_set_format_raw(archive);
    archive_write_set_bytes_in_last_block(archive, 1);
    archive_write_open(archive, &sink, NULL, write_to_sink, NULL);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_write_header(archive, entry);
    archive_write_data(archive, data, length);
    archive_write_close(archive);
    return g_byte_array_free_to_bytes(sink.out);
}

static void
put(guint8 *at, guint64 value, guint bytes)
{
    for (guint i = 0; i < bytes; i++)
        at[i] = value >> (8 * i);
}

GBytes *
fake_bzimage(const char *release, GBytes *payload)
{
    guint8 setup[2048] = {0};
    gsize size;
    const void *data = g_bytes_get_data(payload, &size);
    g_autoptr(GBytes) packed = fake_gzip(data, size);
    setup[0x1f1] = sizeof setup / 512 - 1;
    put(setup + 0x1fe, 0xaa55, 2);
    memcpy(setup + 0x202, "HdrS", 4);
    put(setup + 0x206, 0x020f, 2);
    put(setup + 0x20e, 0x200, 2); /* the version string is at 0x400 */
    put(setup + 0x236, 1, 2);
    put(setup + 0x248, 16, 4);
    put(setup + 0x24c, g_bytes_get_size(packed), 4);
    g_snprintf((char *)setup + 0x400, 128, "%s (builder@host) #1 SMP", release);
    GByteArray *out = g_byte_array_new();
    g_byte_array_append(out, setup, sizeof setup);
    g_byte_array_append(out, (const guint8 *)"sixteen bytes...", 16);
    g_byte_array_append(out, g_bytes_get_data(packed, NULL), g_bytes_get_size(packed));
    return g_byte_array_free_to_bytes(out);
}

static void
archive_file(struct archive *archive, const char *name, GBytes *content)
{
    g_autoptr(ArchiveEntry) entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_mode(entry, content ? AE_IFREG | 0644 : AE_IFLNK | 0777);
    archive_entry_set_size(entry, content ? g_bytes_get_size(content) : 0);
    if (!content)
        archive_entry_set_symlink(entry, "/tmp");
    archive_write_header(archive, entry);
    if (content)
        archive_write_data(archive, g_bytes_get_data(content, NULL),
                           g_bytes_get_size(content));
}

GBytes *
fake_deb(const FakeFile *files)
{
    Sink tar = {g_byte_array_new()}, deb = {g_byte_array_new()};
    g_autoptr(ArchiveWriter) inner = archive_write_new();
    archive_write_add_filter_gzip(inner);
    archive_write_set_format_ustar(inner);
    archive_write_open(inner, &tar, NULL, write_to_sink, NULL);
    for (; files->name; files++)
        archive_file(inner, files->name, files->content);
    archive_write_close(inner);

    g_autoptr(GBytes) version = g_bytes_new("2.0\n", 4);
    g_autoptr(GBytes) data = g_byte_array_free_to_bytes(tar.out);
    g_autoptr(ArchiveWriter) outer = archive_write_new();
    archive_write_set_format_ar_svr4(outer);
    archive_write_open(outer, &deb, NULL, write_to_sink, NULL);
    archive_file(outer, "debian-binary", version);
    archive_file(outer, "data.tar.gz", data);
    archive_write_close(outer);
    return g_byte_array_free_to_bytes(deb.out);
}

char *
fake_write(const char *root, const char *name, GBytes *content)
{
    char *path = g_build_filename(root, name, NULL);
    g_autofree char *folder = g_path_get_dirname(path);
    g_mkdir_with_parents(folder, 0700);
    if (!g_file_set_contents(path, g_bytes_get_data(content, NULL),
                             g_bytes_get_size(content), NULL))
        g_error("cannot write %s", path);
    g_chmod(path, 0755);
    return path;
}

char *
fake_write_text(const char *root, const char *name, const char *text)
{
    g_autoptr(GBytes) content = g_bytes_new(text, strlen(text));
    return fake_write(root, name, content);
}

int
fake_root_setup(void **state)
{
    char *root = g_dir_make_tmp("hostbed-image-XXXXXX", NULL);
    g_autofree char *cache = g_build_filename(root, "cache", NULL);
    g_setenv("XDG_CACHE_HOME", cache, TRUE);
    g_unsetenv("HOSTBED_KERNEL");
    *state = root;
    return root ? 0 : -1;
}

int
fake_root_teardown(void **state)
{
    cache_remove_tree(*state);
    g_free(*state);
    return 0;
}

guint
count_descriptors(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    guint count = 0;
    while (dir && g_dir_read_name(dir))
        count++;
    return count;
}
