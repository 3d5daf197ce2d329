/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <string.h>

#include "image-fixture.h"
#include "template-bench.h"

char *
bench_write_emulator(const char *folder, const char *name, const char *tail)
{
    g_autofree char *content = NULL;
    gsize length = 0;
    assert_true(g_file_get_contents("/bin/true", &content, &length, NULL));
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_byte_array_append(bytes, (const guint8 *)content, (guint)length);
    g_byte_array_append(bytes, (const guint8 *)tail, (guint)strlen(tail));
    g_autoptr(GBytes) all = g_byte_array_free_to_bytes(g_byte_array_ref(bytes));
    char *path = fake_write(folder, name, all);
    assert_int_equal(g_chmod(path, 0755), 0);
    return path;
}

static BootRecipe *
recipe_new(const char *folder, const Plan *plan)
{
    BootRecipe *recipe = g_rc_box_new0(BootRecipe);
    recipe->plan = plan;
    recipe->emulator = bench_write_emulator(folder, "emulator", "");
    recipe->kernel_file = fake_write_text(folder, "kernel", "kernel");
    recipe->initrd_file = fake_write_text(folder, "initrd", "initrd");
    recipe->cmdline = g_strdup("");
    recipe->accel = g_new0(AccelVerdict, 1);
    recipe->accel->accel = ACCEL_TCG;
    return recipe;
}

Bench *
bench_new(const char *root, gint64 memory_bytes)
{
    static int counter;
    Bench *bench = g_new0(Bench, 1);
    bench->root = root;
    bench->folder = g_strdup_printf("%s/bench-%d", root, counter++);
    bench->emulator = fixture_emulator(TRUE);
    bench->lab = fixture_lab();
    fixture_cell(fixture_host(bench->lab), 0, 2, memory_bytes);
    bench->plan = fixture_plan(bench->lab, bench->emulator);
    bench->recipe = recipe_new(bench->folder, bench->plan);
    return bench;
}

void
bench_free(Bench *bench)
{
    boot_recipe_unref(bench->recipe);
    plan_free(bench->plan);
    lab_free(bench->lab);
    fixture_emulator_free(bench->emulator);
    g_free(bench->folder);
    g_free(bench);
}

char *
bench_key(const Bench *bench, const char *manifest)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) inputs = template_key_inputs(bench->recipe, manifest, &error);
    if (!inputs)
        fail_msg("%s", error->message);
    return template_inputs_key(inputs);
}

void
bench_change_emulator(Bench *bench)
{
    g_free(bench_write_emulator(bench->folder, "emulator", "x"));
}

void
bench_change_kernel(Bench *bench)
{
    g_free(fake_write_text(bench->folder, "kernel", "kernel, patched"));
}

void
bench_change_initrd(Bench *bench)
{
    g_free(fake_write_text(bench->folder, "initrd", "initrd, larger"));
}
