/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Faults of the IOMMU, read from lines of the kernel's log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "dmar.h"

static void
a_write_is_read(void **state)
{
    DmarFault fault;
    assert_true(dmar_parse("3,1507,31415926,-;DMAR: [DMA Write NO_PASID] Request device "
                           "[b5:00.0] fault addr 0xa601d008 [fault reason 0x05] PTE "
                           "Write access is not set\n",
                           &fault));
    assert_true(fault.is_write);
    assert_string_equal(fault.function, "b5:00.0");
    assert_int_equal(fault.page, 0xa601d000);
    assert_int_equal(fault.reason, 5);
}

static void
a_read_beyond_32_bits_is_read(void **state)
{
    DmarFault fault;
    assert_true(dmar_parse("[   31.4] DMAR: [DMA Read NO_PASID] Request device [df:1f.7] "
                           "fault addr 0xfedcba987000 [fault reason 0x06] PTE Read "
                           "access is not set",
                           &fault));
    assert_false(fault.is_write);
    assert_string_equal(fault.function, "df:1f.7");
    assert_int_equal(fault.page, 0xfedcba987000);
    assert_int_equal(fault.reason, 6);
}

static void
an_older_kernels_line_is_read(void **state)
{
    DmarFault fault;
    assert_true(dmar_parse("DMAR: [DMA Write] Request device [00:02.0] PASID ffffffff "
                           "fault addr 7b2a4000 [fault reason 05] PTE Write access is "
                           "not set",
                           &fault));
    assert_true(fault.is_write);
    assert_string_equal(fault.function, "00:02.0");
    assert_int_equal(fault.page, 0x7b2a4000);
}

static void
virtios_faults_are_read(void **state)
{
    static const struct {
        const char *access;
        bool is_write, is_read;
    } kinds[] = {{"[W]", true, false}, {"[R]", false, true}, {"[]", false, false}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char line[120];
        DmarFault fault;
        snprintf(line, sizeof line,
                 "3,822,16557917,-;virtio_iommu virtio0: page fault from EP 8721 at "
                 "0x44b649e132 %s\n",
                 kinds[i].access);
        assert_true(dmar_parse(line, &fault));
        assert_int_equal(fault.is_write, kinds[i].is_write);
        assert_int_equal(fault.is_read, kinds[i].is_read);
        assert_string_equal(fault.function, "22:02.1");
        assert_int_equal(fault.page, 0x44b649e000);
    }
}

static void
other_lines_are_no_faults(void **state)
{
    static const char *const lines[] = {
        "",
        "DMAR: DRHD: handling fault status reg 2",
        "DMAR: Intel(R) Virtualization Technology for Directed I/O",
        "DMAR: [INTR-REMAP] Request device [00:02.0] fault index 0x1 [fault reason "
        "0x22] Present field in the IRTE entry is clear",
        "DMAR: [DMA Zap] Request device [00:02.0] fault addr 0x1000 [fault reason 0x05]",
        "DMAR: [DMA Write] Request device [00:02.0] fault addr 0x1000",
        "DMAR: [DMA Write] Request device [00:02.0",
        "DMAR: [DMA Write] Request device [0000:00:02.0] fault addr 1 [fault reason 5]",
        "[fault reason 0x05] fault addr 0x1000 Request device [00:02.0] DMAR: [DMA Read]",
        "virtio_iommu virtio0: domain fault from EP 8448 flags 0x2",
        "virtio_iommu virtio0: page fault from EP 65536 at 0x1000 [W]",
        "virtio_iommu virtio0: page fault from EP  at 0x1000 [W]",
    };
    DmarFault fault;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_false(dmar_parse(lines[i], &fault));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_read),
        cmocka_unit_test(a_read_beyond_32_bits_is_read),
        cmocka_unit_test(an_older_kernels_line_is_read),
        cmocka_unit_test(virtios_faults_are_read),
        cmocka_unit_test(other_lines_are_no_faults),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
