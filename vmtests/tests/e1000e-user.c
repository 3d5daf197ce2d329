/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The driver on a NIC that is played here: registers are memory, and what the NIC would
 * do with descriptors is done by hand. Offsets and bits are the data sheet's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "e1000e-user.h"

#define LINK_UP (1u << 1)
#define RESET (1u << 26)
#define TAGS_TAKEN_OUT (1u << 30)
#define IOVA UINT64_C(0x123456789000)

typedef struct {
    uint32_t registers[0x20000 / 4];
    _Alignas(16) unsigned char rings[E1000E_RINGS_BYTES];
    E1000e nic;
    pthread_t thread;
} Played;

static uint32_t
of(const Played *played, unsigned offset)
{
    return played->registers[offset / 4];
}

/* The part that ends a reset, as the NIC does by itself. */
static void *
end_reset(void *data)
{
    Played *played = data;
    volatile uint32_t *control = &played->registers[E1000E_CTRL / 4];
    for (int i = 0; i < 5000 && !(*control & RESET); i++)
        usleep(1000);
    *control = TAGS_TAKEN_OUT;
    return NULL;
}

static void
start(Played *played, uint32_t status)
{
    memset(played, 0, sizeof *played);
    memset(played->rings, 0xff, sizeof played->rings);
    played->registers[E1000E_STATUS / 4] = status;
    pthread_create(&played->thread, NULL, end_reset, played);
    /* Without a link it waits as long as it may. */
    const int ready_ms = status & LINK_UP ? E1000E_READY_MS : 20;
    bool started =
        e1000e_start(&played->nic, played->registers, played->rings, IOVA, ready_ms);
    pthread_join(played->thread, NULL);
    assert_int_equal(started, (status & LINK_UP) != 0);
}

static void
it_starts_looped_back(void **state)
{
    static Played played;
    start(&played, LINK_UP);
    assert_int_equal(of(&played, E1000E_CTRL) & 1u << 6, 1u << 6); /* link up */
    assert_int_equal(of(&played, 0x100) & (1u << 1 | 3u << 6), 1u << 1 | 1u << 6);
    assert_int_equal(of(&played, 0x100) & 1u << 26, 1u << 26); /* no check sums */
    assert_int_equal(of(&played, 0x400) & 1u << 1, 1u << 1);
    assert_int_equal(of(&played, 0x3800), 0x56789000);
    assert_int_equal(of(&played, 0x3804), 0x1234);
    assert_int_equal(of(&played, 0x2800), 0x56789800);
    assert_int_equal(of(&played, 0x2804), 0x1234);
    assert_int_equal(of(&played, 0x3808), E1000E_RING * 16);
    assert_int_equal(of(&played, 0x2808), E1000E_RING * 16);
    assert_int_equal(played.rings[12], 0); /* no descriptor is done */
    e1000e_stop(&played.nic);
    assert_int_equal(of(&played, 0x100) | of(&played, 0x400), 0);
}

/* Not every reset does. */
static void
it_forgets_the_former_driver(void **state)
{
    static Played played;
    static const unsigned receiving[] = {0x5000, 0x5008, 0x5818};
    start(&played, LINK_UP);
    assert_int_equal(of(&played, E1000E_CTRL) & TAGS_TAKEN_OUT, 0);
    for (size_t i = 0; i < sizeof receiving / sizeof receiving[0]; i++)
        played.registers[receiving[i] / 4] = UINT32_MAX;
    played.registers[E1000E_CTRL / 4] = 0;
    pthread_create(&played.thread, NULL, end_reset, &played);
    assert_true(e1000e_restart(&played.nic));
    pthread_join(played.thread, NULL);
    for (size_t i = 0; i < sizeof receiving / sizeof receiving[0]; i++)
        assert_int_equal(of(&played, receiving[i]), 0);
}

static void
it_can_be_wired(void **state)
{
    static Played played;
    start(&played, LINK_UP);
    played.nic.wired = true;
    played.registers[E1000E_CTRL / 4] = 0;
    pthread_create(&played.thread, NULL, end_reset, &played);
    assert_true(e1000e_restart(&played.nic));
    pthread_join(played.thread, NULL);
    assert_int_equal(of(&played, 0x100) & (1u << 1 | 3u << 6), 1u << 1);
}

static void
it_needs_a_link(void **state)
{
    static Played played;
    start(&played, 0);
}

static void
a_frame_is_a_descriptor(void **state)
{
    static Played played;
    start(&played, LINK_UP);
    e1000e_send(&played.nic, 0xabcdef012345, 1234);
    assert_int_equal(of(&played, 0x3818), 1);
    static const unsigned char wanted[16] = {0x45, 0x23, 0x01, 0xef, 0xcd, 0xab, 0, 0,
                                             0xd2, 0x04, 0,    0x0b, 0,    0,    0, 0};
    assert_memory_equal(played.rings, wanted, sizeof wanted);
    assert_false(e1000e_wait_sent(&played.nic, 1));
    played.rings[12] = 1;
    assert_true(e1000e_wait_sent(&played.nic, 1));
    assert_false(e1000e_wait_sent(&played.nic, 1)); /* there is no second one */
}

static void
a_buffer_is_a_descriptor(void **state)
{
    static Played played;
    unsigned char *ring = played.rings + E1000E_RINGS_BYTES / 2;
    size_t length = 0;
    start(&played, LINK_UP);
    for (unsigned i = 0; i < E1000E_RING; i++) { /* all around */
        unsigned char *descriptor = ring + i * 16;
        e1000e_offer(&played.nic, 0x7000 + i);
        assert_int_equal(of(&played, 0x2818), (i + 1) % E1000E_RING);
        assert_int_equal(descriptor[0] | descriptor[1] << 8, 0x7000 + i);
        assert_false(e1000e_wait_received(&played.nic, 1, &length));
        descriptor[8] = (unsigned char)(60 + i);
        descriptor[12] = 3;
        assert_true(e1000e_wait_received(&played.nic, 1, &length));
        assert_int_equal(length, 60 + i);
    }
    e1000e_offer(&played.nic, 0x7000);
    assert_false(e1000e_wait_received(&played.nic, 1, &length));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts_looped_back),
        cmocka_unit_test(it_forgets_the_former_driver),
        cmocka_unit_test(it_can_be_wired),
        cmocka_unit_test(it_needs_a_link),
        cmocka_unit_test(a_frame_is_a_descriptor),
        cmocka_unit_test(a_buffer_is_a_descriptor),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
