/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "count.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "count-wire.h"
#include "emit.h"

#define WORD_COUNT "count "

/* pcap, as the emulator writes it: in the machine's own order of bytes. */
#define PCAP_MAGIC 0xa1b2c3d4u
#define PCAP_HEADER_BYTES 24
typedef struct {
    guint32 seconds, microseconds;
    guint32 kept, length; /* bytes that follow, and that the frame had */
} PcapRecord;

typedef struct {
    char *dir;
    GPtrArray *networks; /* of the plan */
    GArray *done;        /* long: how far each one's file was read */
    Requests *requests;  /* which own it */
} Counts;

typedef struct {
    guint64 frames, sum;
} Tally;

/* What of the capture is whole: a record of which the end is missing is left for the next
 * time. FALSE: it is none. */
static gboolean
read_records(FILE *file, long *done, Tally *tally)
{
    PcapRecord record;
    guint8 frame[EMIT_CAPTURE_MAX];
    guint32 magic = 0;
    if (*done == 0) {
        if (fread(&magic, sizeof magic, 1, file) != 1 || magic != PCAP_MAGIC)
            return FALSE;
        *done = PCAP_HEADER_BYTES;
    }
    if (fseek(file, *done, SEEK_SET) != 0)
        return FALSE;
    while (fread(&record, sizeof record, 1, file) == 1) {
        if (record.kept > sizeof frame)
            return FALSE;
        if (fread(frame, 1, record.kept, file) != record.kept)
            break;
        tally->frames++;
        tally->sum = count_sum(tally->sum, frame, record.kept);
        *done += (long)(sizeof record + record.kept);
    }
    return TRUE;
}

static void
count(Counts *counts, guint number)
{
    const char *network = counts->networks->pdata[number];
    g_autofree char *path = emit_capture_file(counts->dir, network);
    Tally tally = {.sum = COUNT_SUM_START};
    FILE *file = fopen(path, "re");
    gboolean known =
        file && read_records(file, &g_array_index(counts->done, long, number), &tally);
    g_autofree char *answer =
        known ? g_strdup_printf("%" G_GUINT64_FORMAT " %016" G_GINT64_MODIFIER "x",
                                tally.frames, tally.sum)
              : g_strdup_printf("what was captured cannot be read: %s",
                                file ? "it is damaged" : g_strerror(errno));
    requests_answer(counts->requests, network, known ? "counted" : "refused", answer);
    if (file)
        fclose(file);
}

static void
obey(const char *request, gpointer user_data)
{
    Counts *counts = user_data;
    guint number;
    if (g_str_has_prefix(request, WORD_COUNT) &&
        g_ptr_array_find_with_equal_func(counts->networks, request + strlen(WORD_COUNT),
                                         g_str_equal, &number))
        count(counts, number);
    else
        requests_answer(counts->requests, "?", "refused",
                        "one can count the networks of the host");
}

static void
free_state(gpointer state)
{
    Counts *counts = state;
    g_free(counts->dir);
    g_ptr_array_unref(counts->networks);
    g_array_unref(counts->done);
    g_free(counts);
}

static const RequestsKind kind = {.obey = obey, .free = free_state};

Requests *
counts_requests(const Plan *plan, const char *dir)
{
    Counts *counts = g_new0(Counts, 1);
    counts->dir = g_strdup(dir);
    counts->networks = plan_own_networks(plan);
    counts->done = g_array_new(FALSE, TRUE, sizeof(long));
    g_array_set_size(counts->done, counts->networks->len);
    counts->requests = requests_new(&kind, counts);
    return counts->requests;
}

char *
counts_environment(const Plan *plan)
{
    g_autoptr(GPtrArray) networks = plan_own_networks(plan);
    if (networks->len == 0)
        return NULL;
    GString *text = g_string_new(COUNT_ENVIRONMENT "=");
    for (guint i = 0; i < networks->len; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? " " : "",
                               (const char *)networks->pdata[i]);
    return g_string_free(text, FALSE);
}
