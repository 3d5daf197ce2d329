/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gelf.h>
#include <string.h>
#include <unistd.h>

#include "autoptr.h"
#include "elf-file.h"
#include "error.h"

/* Far above what any real file has. */
#define MAXIMUM_NEEDED 1024
#define MAXIMUM_STRING 65536

void
elf_linkage_free(ElfLinkage *linkage)
{
    if (!linkage)
        return;
    g_free(linkage->interpreter);
    g_ptr_array_unref(linkage->needed);
    g_free(linkage->soname);
    g_free(linkage->rpath);
    g_free(linkage->runpath);
    g_free(linkage);
}

gboolean
elf_file_is_elf(int fd)
{
    char magic[SELFMAG];
    return pread(fd, magic, SELFMAG, 0) == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

/* Not ELF_C_READ_MMAP: a file that another process cuts would end us with SIGBUS. */
static Elf *
open_elf(int fd)
{
    elf_version(EV_CURRENT);
    return elf_file_is_elf(fd) ? elf_begin(fd, ELF_C_READ, NULL) : NULL;
}

static void
set_malformed(GError **error, const char *what)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s is not a whole ELF file", what);
}

/* LENGTH bytes at OFFSET as a string, if that is one. */
static char *
string_at(int fd, GElf_Off offset, GElf_Xword length)
{
    if (length == 0 || length > MAXIMUM_STRING || offset > G_MAXINT64 / 2)
        return NULL;
    g_autofree char *text = g_malloc0(length + 1);
    if (pread(fd, text, length, offset) != (ssize_t)length)
        return NULL;
    return g_steal_pointer(&text);
}

/* The file offset of a virtual address, by the segments that are loaded. */
static gboolean
file_offset(Elf *elf, size_t segments, GElf_Addr address, GElf_Off *offset)
{
    for (size_t i = 0; i < segments; i++) {
        GElf_Phdr header;
        if (gelf_getphdr(elf, i, &header) && header.p_type == PT_LOAD &&
            address >= header.p_vaddr && address - header.p_vaddr < header.p_filesz) {
            *offset = header.p_offset + (address - header.p_vaddr);
            return TRUE;
        }
    }
    return FALSE;
}

/* The string table that the dynamic section names; NULL if there is none to be read. */
static char *
dynamic_strings(Elf *elf, int fd, size_t segments, Elf_Data *dynamic, gsize *length)
{
    GElf_Addr address = 0;
    GElf_Xword size = 0;
    GElf_Dyn entry;
    for (int i = 0; gelf_getdyn(dynamic, i, &entry) && entry.d_tag != DT_NULL; i++) {
        if (entry.d_tag == DT_STRTAB)
            address = entry.d_un.d_ptr;
        else if (entry.d_tag == DT_STRSZ)
            size = entry.d_un.d_val;
    }
    GElf_Off offset;
    if (size == 0 || size > 64 * 1024 * 1024 ||
        !file_offset(elf, segments, address, &offset) || offset > G_MAXINT64 / 2)
        return NULL;
    g_autofree char *strings = g_try_malloc0(size + 1);
    if (!strings || pread(fd, strings, size, offset) != (ssize_t)size)
        return NULL;
    *length = size;
    return g_steal_pointer(&strings);
}

static gboolean
read_dynamic(Elf *elf, int fd, size_t segments, Elf_Data *dynamic, ElfLinkage *linkage)
{
    gsize length = 0;
    g_autofree char *strings = dynamic_strings(elf, fd, segments, dynamic, &length);
    if (!strings)
        return FALSE;
    GElf_Dyn entry;
    for (int i = 0; gelf_getdyn(dynamic, i, &entry) && entry.d_tag != DT_NULL; i++) {
        if (entry.d_un.d_val >= length)
            continue;
        const char *text = strings + entry.d_un.d_val;
        char **field = entry.d_tag == DT_SONAME    ? &linkage->soname
                       : entry.d_tag == DT_RPATH   ? &linkage->rpath
                       : entry.d_tag == DT_RUNPATH ? &linkage->runpath
                                                   : NULL;
        if (field && !*field)
            *field = g_strdup(text);
        if (entry.d_tag == DT_NEEDED && linkage->needed->len < MAXIMUM_NEEDED)
            g_ptr_array_add(linkage->needed, g_strdup(text));
    }
    return TRUE;
}

ElfLinkage *
elf_file_linkage(int fd, const char *what, GError **error)
{
    g_autoptr(Elf) elf = open_elf(fd);
    GElf_Ehdr header;
    size_t segments;
    if (!elf || !gelf_getehdr(elf, &header) || elf_getphdrnum(elf, &segments) != 0) {
        set_malformed(error, what);
        return NULL;
    }
    g_autoptr(ElfLinkage) linkage = g_new0(ElfLinkage, 1);
    linkage->needed = g_ptr_array_new_with_free_func(g_free);
    linkage->is_64bit = gelf_getclass(elf) == ELFCLASS64;
    linkage->machine = header.e_machine;
    for (size_t i = 0; i < segments; i++) {
        GElf_Phdr segment;
        if (!gelf_getphdr(elf, i, &segment))
            continue;
        if (segment.p_type == PT_INTERP && !linkage->interpreter)
            linkage->interpreter = string_at(fd, segment.p_offset, segment.p_filesz);
        if (segment.p_type != PT_DYNAMIC)
            continue;
        Elf_Data *dynamic =
            elf_getdata_rawchunk(elf, segment.p_offset, segment.p_filesz, ELF_T_DYN);
        if (!dynamic || !read_dynamic(elf, fd, segments, dynamic, linkage)) {
            set_malformed(error, what);
            return NULL;
        }
    }
    return g_steal_pointer(&linkage);
}

static Elf_Data *
section_named(Elf *elf, const char *wanted)
{
    size_t names;
    if (elf_getshdrstrndx(elf, &names) != 0)
        return NULL;
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(elf, section))) {
        GElf_Shdr header;
        const char *name = gelf_getshdr(section, &header)
                               ? elf_strptr(elf, names, header.sh_name)
                               : NULL;
        if (name && strcmp(name, wanted) == 0)
            return elf_rawdata(section, NULL);
    }
    return NULL;
}

GPtrArray *
elf_file_modinfo(int fd, const char *what, GError **error)
{
    g_autoptr(Elf) elf = open_elf(fd);
    Elf_Data *data = elf ? section_named(elf, ".modinfo") : NULL;
    if (!data || !data->d_buf) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s is not a whole kernel module",
                    what);
        return NULL;
    }
    GPtrArray *strings = g_ptr_array_new_with_free_func(g_free);
    const char *at = data->d_buf, *end = at + data->d_size;
    while (at < end) {
        gsize length = strnlen(at, end - at);
        if (length > 0)
            g_ptr_array_add(strings, g_strndup(at, length));
        at += length + 1;
    }
    return strings;
}

static gboolean
notes_have(Elf_Data *data, const char *owner, guint32 type)
{
    GElf_Nhdr note;
    size_t name_at, description_at, next, offset = 0;
    gsize owner_size = strlen(owner) + 1;
    while ((next = gelf_getnote(data, offset, &note, &name_at, &description_at)) > 0) {
        if (note.n_type == type && note.n_namesz == owner_size &&
            memcmp((const char *)data->d_buf + name_at, owner, owner_size) == 0)
            return TRUE;
        offset = next;
    }
    return FALSE;
}

gboolean
elf_file_has_note(int fd, const char *owner, guint32 type)
{
    g_autoptr(Elf) elf = open_elf(fd);
    size_t segments;
    if (!elf || elf_getphdrnum(elf, &segments) != 0)
        return FALSE;
    for (size_t i = 0; i < segments; i++) {
        GElf_Phdr segment;
        if (!gelf_getphdr(elf, i, &segment) || segment.p_type != PT_NOTE)
            continue;
        Elf_Data *data =
            elf_getdata_rawchunk(elf, segment.p_offset, segment.p_filesz,
                                 segment.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
        if (data && notes_have(data, owner, type))
            return TRUE;
    }
    return FALSE;
}
