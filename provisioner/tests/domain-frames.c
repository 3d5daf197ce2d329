/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "domain-frames.h"
#include "segments.h"

/* What was taken, and how many more will be. */
typedef struct {
    GPtrArray *frames; /* GBytes */
    guint room;
} Taken;

static void
taken_clear(Taken *taken)
{
    g_ptr_array_unref(taken->frames);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Taken, taken_clear)

static Taken
taken_new(guint room)
{
    Taken taken = {g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref), room};
    return taken;
}

static gboolean
take(const guint8 *frame, gsize length, gpointer user_data)
{
    Taken *taken = user_data;
    if (taken->frames->len == taken->room)
        return FALSE;
    g_ptr_array_add(taken->frames, g_bytes_new(frame, length));
    return TRUE;
}

static const gsize lengths[] = {60, 0, 1, DOMAIN_FRAME_MAX, 1514};

/* A frame's length and number tell what is in it. */
static GBytes *
frame_of(gsize index)
{
    guint8 *bytes = g_malloc(lengths[index] + 1);
    for (gsize i = 0; i < lengths[index]; i++)
        bytes[i] = (guint8)(i * 7 + index);
    return g_bytes_new_take(bytes, lengths[index]);
}

static GByteArray *
put_all(void)
{
    GByteArray *bytes = g_byte_array_new();
    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(GBytes) frame = frame_of(i);
        domain_frames_put(bytes, g_bytes_get_data(frame, NULL), g_bytes_get_size(frame));
    }
    return bytes;
}

static void
assert_all(const Taken *taken)
{
    assert_int_equal(taken->frames->len, G_N_ELEMENTS(lengths));
    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(GBytes) frame = frame_of(i);
        assert_true(g_bytes_equal(frame, taken->frames->pdata[i]));
    }
}

/* As the emulator writes and reads it. */
static void
a_frame_has_its_length_before_it(void **state)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    domain_frames_put(bytes, "abc", 3);
    assert_int_equal(bytes->len, 7);
    assert_memory_equal(bytes->data, "\0\0\0\3abc", 7);
}

static void
joined_frames_are_taken_one_by_one(void **state)
{
    g_auto(Taken) taken = taken_new(G_MAXUINT);
    g_autoptr(GByteArray) bytes = put_all();
    assert_true(domain_frames_take(bytes, take, &taken));
    assert_int_equal(bytes->len, 0);
    assert_all(&taken);
}

static void
frames_that_come_in_pieces_are_taken_whole(void **state)
{
    static const gsize pieces[] = {1, 3, 4, 5, 61, 4096};
    for (gsize i = 0; i < G_N_ELEMENTS(pieces); i++) {
        g_auto(Taken) taken = taken_new(G_MAXUINT);
        g_autoptr(GByteArray) all = put_all();
        g_autoptr(GByteArray) came = g_byte_array_new();
        for (gsize done = 0; done < all->len; done += pieces[i]) {
            gsize length = MIN(pieces[i], all->len - done);
            g_byte_array_append(came, all->data + done, (guint)length);
            assert_true(domain_frames_take(came, take, &taken));
        }
        assert_int_equal(came->len, 0);
        assert_all(&taken);
    }
}

static void
what_is_not_taken_stays(void **state)
{
    g_auto(Taken) taken = taken_new(0);
    g_autoptr(GByteArray) bytes = put_all();
    guint length = bytes->len;
    assert_true(domain_frames_take(bytes, take, &taken));
    assert_int_equal(bytes->len, length);
    for (taken.room = 1; taken.room <= G_N_ELEMENTS(lengths); taken.room++) {
        assert_true(domain_frames_take(bytes, take, &taken));
        assert_int_equal(taken.frames->len, taken.room);
    }
    assert_int_equal(bytes->len, 0);
    assert_all(&taken);
}

/* Before any of its bytes came, which would have to be kept; what came before it is well.
 */
static void
a_length_that_no_frame_has_is_told(void **state)
{
    static const guint32 hostile[] = {DOMAIN_FRAME_MAX + 1, 0x7fffffff, 0x80000000,
                                      0xfffffffc, 0xffffffff};
    for (gsize i = 0; i < G_N_ELEMENTS(hostile); i++) {
        g_auto(Taken) taken = taken_new(G_MAXUINT);
        g_autoptr(GByteArray) bytes = put_all();
        guint32 header = GUINT32_TO_BE(hostile[i]);
        g_byte_array_append(bytes, (const guint8 *)&header, sizeof header);
        assert_false(domain_frames_take(bytes, take, &taken));
        assert_all(&taken);
        assert_false(domain_frames_take(bytes, take, &taken));
        assert_all(&taken);
    }
}

/* Else one of them would cut what the other takes. */
static void
networks_have_frames_of_the_same_size(void **state)
{
    assert_int_equal(DOMAIN_FRAME_MAX, SEGMENT_FRAME_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_has_its_length_before_it),
        cmocka_unit_test(joined_frames_are_taken_one_by_one),
        cmocka_unit_test(frames_that_come_in_pieces_are_taken_whole),
        cmocka_unit_test(what_is_not_taken_stays),
        cmocka_unit_test(a_length_that_no_frame_has_is_told),
        cmocka_unit_test(networks_have_frames_of_the_same_size),
    };
    return cmocka_run_group_tests_name("domain-frames", tests, NULL, NULL);
}
