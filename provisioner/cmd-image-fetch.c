/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed image fetch: a file from the network, or the image of a system, into the cache;
 * prints where it is.
 */
#include <stdio.h>
#include <string.h>

#include "checksums.h"
#include "cli-json.h"
#include "cli-progress.h"
#include "cmd-image.h"
#include "fetch.h"
#include "os-lookup.h"
#include "units.h"

typedef struct {
    gboolean json, offline;
    char *sha256, *sha512, *checksums, *cacert, *most;
    int stall_s;
} Options;

static void
options_clear(Options *options)
{
    g_free(options->sha256);
    g_free(options->sha512);
    g_free(options->checksums);
    g_free(options->cacert);
    g_free(options->most);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

/* *DIGEST in small letters, if it was given. */
static gboolean
check_digest(GChecksumType type, char **digest, GError **error)
{
    if (!*digest)
        return TRUE;
    char *small = checksums_parse_digest(type, *digest, error);
    if (!small) {
        g_prefix_error(error, "--%s ", checksums_type_name(type));
        return FALSE;
    }
    g_free(*digest);
    *digest = small;
    return TRUE;
}

static gboolean
make_request(Options *options, char **urls, FetchRequest *request, GError **error)
{
    gint64 most_bytes = 0;
    if (!check_digest(G_CHECKSUM_SHA256, &options->sha256, error) ||
        !check_digest(G_CHECKSUM_SHA512, &options->sha512, error))
        return FALSE;
    if (options->most && !units_parse_size(options->most, &most_bytes, error)) {
        g_prefix_error(error, "--max '%s' ", options->most);
        return FALSE;
    }
    if (!!options->sha256 + !!options->sha512 + !!options->checksums > 1) {
        g_set_error_literal(error, HB_ERROR, HB_USAGE,
                            "--sha256, --sha512 and --checksums say the same; give one "
                            "of them");
        return FALSE;
    }
    *request = (FetchRequest){.urls = (const char *const *)urls,
                              .sha256 = options->sha256,
                              .sha512 = options->sha512,
                              .checksums = options->checksums,
                              .cacert = options->cacert,
                              .offline = options->offline,
                              .most_bytes = most_bytes,
                              .stall_s = (guint)MAX(options->stall_s, 0)};
    return TRUE;
}

/* An id of a system means the first of its images that a host can boot, and the list in
 * which its vendor says what that is. *URLS (with room for one more) and OPTIONS get
 * them. */
static gboolean
find_image(Options *options, const char *id, char **url, GError **error)
{
    g_autoptr(OsFacts) facts = os_lookup(id, error);
    if (!facts)
        return FALSE;
    for (guint i = 0; i < facts->images->len; i++) {
        const OsImageSource *image = facts->images->pdata[i];
        if (strcmp(image->format, "qcow2") != 0 && strcmp(image->format, "raw") != 0)
            continue;
        *url = g_strdup(image->url);
        if (!options->sha256 && !options->sha512 && !options->checksums)
            options->checksums = fetch_vendor_list(*url);
        return TRUE;
    }
    g_set_error(error, HB_ERROR, HB_USAGE,
                "the database knows no disk image of %s; name one by its address",
                facts->name);
    return FALSE;
}

static void
print_json(const Fetched *fetched)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "path", fetched->path);
    json_object_set_string_member(object, "sha256", fetched->sha256);
    json_object_set_int_member(object, "bytes", fetched->bytes);
    json_object_set_boolean_member(object, "cached", fetched->url == NULL);
    if (fetched->url)
        json_object_set_string_member(object, "url", fetched->url);
    cli_print_json(object);
}

static int
run(const Options *options, const FetchRequest *request)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    g_autoptr(CliProgress) progress = cli_progress_new();
    g_autoptr(Fetched) fetched = fetch_file(request, cli_progress_event, progress,
                                            g_cancellable_get_current(), &error);
    cli_progress_end(progress, fetched != NULL);
    if (!fetched)
        return cli_fail(error);
    if (!request->sha256 && !request->sha512 && !request->checksums)
        fprintf(stderr, "hostbed: nothing said what it must be; next time: --sha256 %s\n",
                fetched->sha256);
    if (options->json)
        print_json(fetched);
    else
        puts(fetched->path);
    return HB_OK;
}

int
cmd_image_fetch(int argc, char **argv)
{
    int status;
    g_autoptr(GError) error = NULL;
    g_auto(Options) options = {0};
    FetchRequest request;
    const GOptionEntry entries[] = {
        {"sha256", 0, 0, G_OPTION_ARG_STRING, &options.sha256, "What it must be", "HEX"},
        {"sha512", 0, 0, G_OPTION_ARG_STRING, &options.sha512, "What it must be", "HEX"},
        {"checksums", 0, 0, G_OPTION_ARG_STRING, &options.checksums,
         "The vendor's list of checksums (SHA256SUMS, CHECKSUM)", "URL"},
        {"cacert", 0, 0, G_OPTION_ARG_FILENAME, &options.cacert,
         "Trust the authorities in FILE, not the machine's", "FILE"},
        {"offline", 0, 0, G_OPTION_ARG_NONE, &options.offline,
         "Only what is in the cache", NULL},
        {"max", 0, 0, G_OPTION_ARG_STRING, &options.most,
         "How large it may be (default: 64 GiB)", "SIZE"},
        {"stall", 0, 0, G_OPTION_ARG_INT, &options.stall_s,
         "How long a server may send nothing (default: 60)", "SECONDS"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &options.json, "The same for programs", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("image fetch", &argc, &argv, entries, NULL, &status))
        return status;
    if (argc < 2)
        return cli_fail_with(HB_USAGE, "'hostbed image fetch' takes a URL, and further "
                                       "ones where the same file is, or the id of a "
                                       "system");
    g_autofree char *image = NULL;
    if (argc == 2 && !strstr(argv[1], "://")) {
        if (!find_image(&options, argv[1], &image, &error))
            return cli_fail(error);
        argv[1] = image;
    }
    return make_request(&options, argv + 1, &request, &error) ? run(&options, &request)
                                                              : cli_fail(error);
}
