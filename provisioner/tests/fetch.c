/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What fetching needs and no network: lists of checksums, the pace, names. The rest is in
 * download.sh.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "checksums.h"
#include "error.h"
#include "fetch.h"
#include "pace.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C128 A64 B64

static void
digests_are_found_in_lists(void **state)
{
    static const struct {
        const char *list, *digest;
    } cases[] = {
        {A64 "  disk.img\n", A64},
        {A64 " *disk.img", A64},
        {A64 "  ./a/disk.img\r\n", A64},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA  disk.img",
         A64},
        {B64 "  other\n" A64 "  disk.img\n", A64},
        {"SHA256 (disk.img) = " A64 "\n", A64},
        {"SHA512 (disk.img) = " C128 "\nSHA256 (disk.img) = " A64 "\n", C128},
        {A64 "  disk.img\n" C128 "  disk.img\n", C128},
        {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# disk.img: 3 bytes\n"
         "SHA256 (disk.img) = " A64 "\n-----BEGIN PGP SIGNATURE-----\n\niQ=\n",
         A64},
        {A64, A64}, /* beside what it is of */
        {A64 "  disk.img\n" A64 "  disk.img\n", A64},
        {"SHA256 (a) (disk.img) = " A64, NULL},
        {A64 "  disk.img.sig\n", NULL},
        {A64 "x disk.img\n", NULL},
        {"SHA256 (disk.img) = " A64 "0", NULL},
        {"MD5 (disk.img) = " A64, NULL},
        {"aaaa  disk.img", NULL},
        {"", NULL},
        {A64 "  disk.img\n" B64 "  disk.img\n", NULL},
        {A64 "  disk.img\nSHA256 (disk.img) = " B64, NULL},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        GChecksumType type = G_CHECKSUM_MD5;
        g_autofree char *digest = checksums_find(cases[i].list, strlen(cases[i].list),
                                                 "disk.img", &type, &error);
        if (g_strcmp0(digest, cases[i].digest) != 0)
            fail_msg("%s: %s", cases[i].list, digest ? digest : error->message);
        assert_true(!digest || type == (strlen(digest) == 128 ? G_CHECKSUM_SHA512
                                                              : G_CHECKSUM_SHA256));
    }
}

static void
hostile_lists_are_survived(void **state)
{
    static const char start[] = "SHA256 (disk.img) = " A64 "\n" A64 "  disk.img\n";
    g_autoptr(GRand) random = g_rand_new_with_seed(2017);
    for (guint i = 0; i < 20000; i++) {
        char text[sizeof start];
        GChecksumType type;
        g_autoptr(GError) error = NULL;
        memcpy(text, start, sizeof start);
        for (guint n = 0; n < 5; n++)
            text[g_rand_int_range(random, 0, sizeof start)] =
                "() =\n*/\0a9\x80"[g_rand_int_range(random, 0, 11)];
        g_autofree char *digest =
            checksums_find(text, sizeof text, "disk.img", &type, &error);
        assert_true((digest == NULL) == (error != NULL));
    }
}

static void
digests_are_checked(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *good = checksums_parse_digest(G_CHECKSUM_SHA256, A64, &error);
    assert_string_equal(good, A64);
    assert_null(checksums_parse_digest(G_CHECKSUM_SHA512, A64, &error));
    assert_int_equal(error->code, HB_USAGE);
    g_clear_error(&error);
    assert_null(checksums_parse_digest(G_CHECKSUM_SHA256, "g" A64, &error));
}

static void
the_pace_is_that_of_the_last_seconds(void **state)
{
    Pace pace = {0};
    assert_int_equal(pace_left_s(&pace, 100), -1);
    gint64 now = 5000000, done = 0;
    /* A minute at 10 a second, told often, then 10 seconds at 1000. */
    for (int i = 0; i < 600; i++, now += 100000)
        pace_add(&pace, now, done++);
    assert_true(pace_rate(&pace) > 9.5 && pace_rate(&pace) < 10.5);
    for (int i = 0; i < 100; i++, now += 100000)
        pace_add(&pace, now, done += 100);
    assert_true(pace_rate(&pace) > 950 && pace_rate(&pace) < 1050);
    assert_int_equal(pace_left_s(&pace, done + 20000), 20);
    assert_int_equal(pace_left_s(&pace, done), 0);
    assert_int_equal(pace_left_s(&pace, done - 1), -1);
    /* Nothing comes any more. */
    for (int i = 0; i < 100; i++, now += 100000)
        pace_add(&pace, now, done);
    assert_true(pace_rate(&pace) < 1);
    assert_int_equal(pace_left_s(&pace, done + 1), -1);
}

static void
names_of_files_are_those_of_addresses(void **state)
{
    static const struct {
        const char *url, *name;
    } cases[] = {{"https://host/a/disk.img", "disk.img"},
                 {"https://host/a/disk.img?x=/y#z", "disk.img"},
                 {"https://host/a%20b.img", "a b.img"},
                 {"https://host/a%2fb", "a%2fb"},
                 {"https://host/", ""}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = fetch_file_name(cases[i].url);
        assert_string_equal(name, cases[i].name);
    }
}

static void
vendors_list_what_they_publish(void **state)
{
    static const struct {
        const char *image, *list;
    } cases[] = {
        {"https://cloud.debian.org/images/cloud/bookworm/latest/"
         "debian-12-generic-amd64.qcow2",
         "https://cloud.debian.org/images/cloud/bookworm/latest/SHA512SUMS"},
        {"https://cloud-images.ubuntu.com/noble/current/noble-server-cloudimg-amd64.img",
         "https://cloud-images.ubuntu.com/noble/current/SHA256SUMS"},
        {"https://cloud.centos.org/centos/9-stream/a.qcow2",
         "https://cloud.centos.org/centos/9-stream/a.qcow2.SHA256SUM"},
        {"https://dl-cdn.alpinelinux.org/alpine/v3.20/releases/cloud/a.qcow2",
         "https://dl-cdn.alpinelinux.org/alpine/v3.20/releases/cloud/a.qcow2.sha512"},
        {"https://download.fedoraproject.org/pub/x/"
         "Fedora-Cloud-Base-Generic.x86_64-41-1.4.qcow2",
         "https://download.fedoraproject.org/pub/x/Fedora-Cloud-41-1.4-x86_64-CHECKSUM"},
        {"https://download.fedoraproject.org/pub/x/"
         "Fedora-Cloud-Base-Generic-42-1.1.x86_64.qcow2",
         "https://download.fedoraproject.org/pub/x/Fedora-Cloud-42-1.1-x86_64-CHECKSUM"},
        {"https://host/cloud.debian.org/a.qcow2", NULL},
        {"http://cloud.debian.org/a/b.qcow2", NULL},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *list = fetch_vendor_list(cases[i].image);
        if (g_strcmp0(list, cases[i].list) != 0)
            fail_msg("%s: %s", cases[i].image, list);
    }
}

/* How many images FILE, of libosinfo's database, has, each of which has a list. */
static guint
check_images(const char *file)
{
    g_autofree char *text = NULL;
    g_autoptr(GMatchInfo) match = NULL;
    g_autoptr(GRegex) image =
        g_regex_new("<image .*?<url>([^<]*)</url>.*?</image>", G_REGEX_DOTALL, 0, NULL);
    guint count = 0;
    assert_true(g_file_get_contents(file, &text, NULL, NULL));
    for (g_regex_match(image, text, 0, &match); g_match_info_matches(match);
         g_match_info_next(match, NULL)) {
        g_autofree char *url = g_match_info_fetch(match, 1);
        g_autofree char *list = fetch_vendor_list(url);
        if (!list)
            fail_msg("%s: nobody knows where the checksum of %s is", file, url);
        count++;
    }
    return count;
}

static void
each_image_of_the_database_is_listed(void **state)
{
    static const char *const vendors[] = {"alpinelinux.org", "centos.org", "debian.org",
                                          "fedoraproject.org", "ubuntu.com"};
    for (gsize i = 0; i < G_N_ELEMENTS(vendors); i++) {
        g_autofree char *folder = g_build_filename(g_getenv("HOSTBED_SOURCE_DIR"),
                                                   "osdb/data/os", vendors[i], NULL);
        g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
        const char *name;
        guint count = 0;
        assert_non_null(dir);
        while ((name = g_dir_read_name(dir))) {
            g_autofree char *file = g_build_filename(folder, name, NULL);
            if (g_str_has_suffix(name, ".xml"))
                count += check_images(file);
        }
        assert_int_not_equal(count, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_found_in_lists),
        cmocka_unit_test(hostile_lists_are_survived),
        cmocka_unit_test(digests_are_checked),
        cmocka_unit_test(the_pace_is_that_of_the_last_seconds),
        cmocka_unit_test(names_of_files_are_those_of_addresses),
        cmocka_unit_test(vendors_list_what_they_publish),
        cmocka_unit_test(each_image_of_the_database_is_listed),
    };
    return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
