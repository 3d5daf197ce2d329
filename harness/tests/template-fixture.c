/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "autoptr.h"
#include "template-fixture.h"
#include "template-key.h"

int
fake_memory(const char *text, goffset offset, goffset size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(pwrite(fd, text, strlen(text), offset), strlen(text));
    return fd;
}

TemplateAbout *
fake_about(const char *lab, const char *accel)
{
    TemplateAbout *made = template_about_new();
    template_inputs_add(made->inputs, "hostbed", "test");
    template_inputs_add(made->inputs, "accelerator", accel);
    g_autofree char *own = g_strdup_printf("-name\\nguest=%s/l1", lab);
    g_autofree char *peer = g_strdup_printf("-S\\n-name\\nguest=%s/l2\\n-S", lab);
    template_inputs_add(made->inputs, "arguments", own);
    template_inputs_add(made->inputs, "l2: arguments", peer);
    template_inputs_add(made->inputs, "liar: arguments", peer);
    made->key = template_inputs_key(made->inputs);
    made->lab = g_strdup(lab);
    made->host = g_strdup("l1");
    made->emulator = g_strdup("/usr/bin/qemu");
    made->kernel = g_strdup("6.1");
    made->nonce = g_strdup("0123");
    made->made = g_strdup("2026-11-21T18:15:38Z");
    return made;
}

TemplateWriter *
fake_template_writer(const char *lab, const char *accel)
{
    TemplateWriter *writer = template_writer_new(fake_about(lab, accel), NULL);
    g_auto(AutoFd) state = fake_memory("state", 0, 5);
    g_auto(AutoFd) memory = fake_memory(lab, 12345678, FAKE_MEMORY);
    assert_non_null(writer);
    assert_true(template_writer_copy(writer, "state", state, 5, NULL));
    assert_true(template_writer_copy(writer, "memory-0", memory, FAKE_MEMORY, NULL));
    return writer;
}

TemplateWriter *
fake_lab_writer(const char *lab)
{
    TemplateWriter *writer = fake_template_writer(lab, "tcg");
    template_about_add_peer(writer->about, "l2", "4567");
    g_auto(AutoFd) state = fake_memory("other", 0, 5);
    g_auto(AutoFd) memory = fake_memory("other", 4096, FAKE_MEMORY);
    g_auto(AutoFd) networks = fake_memory("frames", 0, 6);
    assert_true(template_writer_copy(writer, "peer-1-state", state, 5, NULL));
    assert_true(
        template_writer_copy(writer, "peer-1-memory-0", memory, FAKE_MEMORY, NULL));
    assert_true(template_writer_copy(writer, "networks", networks, 6, NULL));
    return writer;
}

char *
fake_template_for(const char *lab, const char *accel)
{
    g_autoptr(TemplateWriter) writer = fake_template_writer(lab, accel);
    assert_true(template_writer_commit(writer, NULL));
    return g_strdup(writer->about->key);
}

char *
fake_template(const char *lab)
{
    return fake_template_for(lab, "tcg");
}

char *
template_path(const char *key, const char *name)
{
    g_autofree char *folder = cache_path(TEMPLATE_STORE_KIND, key);
    return g_build_filename(folder, name, NULL);
}

int
empty_templates(void **state)
{
    g_autofree char *path = template_path("", NULL);
    cache_remove_tree(path);
    g_unsetenv("HOSTBED_TEMPLATES_MAX");
    return 0;
}

guint
count_templates(void)
{
    guint count = 0;
    g_autofree char *path = template_path("", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    while (dir && g_dir_read_name(dir))
        count++;
    return count;
}
