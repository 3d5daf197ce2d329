/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The endless form of the fuzz test of the reader of disk images, for clang's libFuzzer:
 * `make fuzz-disk`, then `./fuzz-disk CORPUS`, with small images of `qemu-img create` in
 * the folder CORPUS. Its bounded form is in disk.c.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    const uint8_t *data;
    size_t size;
} Input;

/* Behind its bytes the file has a hole: what leads there is followed, too. */
#define HOLE ((guint64)64 << 20)

static gssize
read_input(gpointer user_data, void *buffer, gsize size, guint64 offset)
{
    const Input *input = user_data;
    if (offset >= input->size + HOLE)
        return 0;
    gsize left = (gsize)MIN(size, input->size + HOLE - offset);
    memset(buffer, 0, left);
    if (offset < input->size)
        memcpy(buffer, input->data + offset, MIN(left, (gsize)(input->size - offset)));
    return (gssize)left;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    Input input = {data, size};
    const DiskBytes bytes = {read_input, &input, size + HOLE};
    g_autoptr(DiskInfo) info = disk_info_read(&bytes, size, NULL, &error);
    if (!info && !error)
        abort(); /* refused without a word */
    if (info && !info->unbounded && info->commitment < info->allocation)
        abort();
    return 0;
}
