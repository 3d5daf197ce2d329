/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log-stamp.h"

#include <string.h>

LogStamp
log_stamp_now(void)
{
    return (LogStamp){g_get_real_time(), g_get_monotonic_time()};
}

char *
log_stamp_text(LogStamp stamp)
{
    g_autoptr(GDateTime) seconds =
        g_date_time_new_from_unix_local(stamp.real_us / G_USEC_PER_SEC);
    g_autofree char *time = g_date_time_format(seconds, "%FT%T");
    g_autofree char *zone = g_date_time_format(seconds, "%:z");
    /* No %f: it would follow the user's language. */
    return g_strdup_printf("%s.%06d%s [%" G_GINT64_FORMAT ".%06d]", time,
                           (int)(stamp.real_us % G_USEC_PER_SEC), zone,
                           stamp.monotonic_us / G_USEC_PER_SEC,
                           (int)(stamp.monotonic_us % G_USEC_PER_SEC));
}

/* "12.345678]": microseconds, or -1; *REST is behind it. */
static gint64
read_monotonic(const char *text, const char **rest)
{
    char *end, *fraction_end;
    guint64 seconds = g_ascii_strtoull(text, &end, 10);
    if (end == text || *end != '.' || seconds > G_MAXINT64 / G_USEC_PER_SEC - 1)
        return -1;
    guint64 fraction = g_ascii_strtoull(end + 1, &fraction_end, 10);
    if (fraction_end - end != 7 || *fraction_end != ']')
        return -1;
    *rest = fraction_end + 1;
    return (gint64)(seconds * G_USEC_PER_SEC + fraction);
}

gboolean
log_stamp_read(const char *text, LogStamp *stamp, const char **rest)
{
    const char *blank = strstr(text, " [");
    if (!blank || blank - text > 40)
        return FALSE;
    g_autofree char *written = g_strndup(text, (gsize)(blank - text));
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(written, NULL);
    const char *behind = NULL;
    gint64 monotonic_us = time ? read_monotonic(blank + 2, &behind) : -1;
    if (monotonic_us < 0)
        return FALSE;
    stamp->real_us =
        g_date_time_to_unix(time) * G_USEC_PER_SEC + g_date_time_get_microsecond(time);
    stamp->monotonic_us = monotonic_us;
    *rest = behind + (*behind == ' ');
    return TRUE;
}
