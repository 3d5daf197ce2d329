/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ost.h"

#include "json-line.h"

/* ACPI 6.5, 6.3.5, _OST: why it is told, and how far it is. */
enum {
    SOURCE_EJECT = 3,
    SOURCE_MASK = 0xff, /* 0x103: the host itself wants to be rid of it */
    SUCCESS = 0,
    INSERTING = 0x80,
    IN_USE = 0x81,
    BUSY = 0x82,
    EJECTING = 0x84,
};

static OstAnswer
judge(gint64 source, gint64 status, char **reason)
{
    const gboolean leaves = (source & SOURCE_MASK) == SOURCE_EJECT;
    if (status == (leaves ? EJECTING : INSERTING))
        return OST_NOTHING;
    if (status == SUCCESS)
        return leaves ? OST_NOTHING : OST_USED;
    if (leaves && (status == BUSY || status == IN_USE))
        *reason = g_strdup("something in it cannot be moved away");
    else
        *reason = g_strdup_printf("ACPI status 0x%02x", (guint)status & SOURCE_MASK);
    return OST_REFUSED;
}

OstAnswer
ost_read(const char *event, JsonObject *data, const char **id, char **reason)
{
    const gboolean is_ost = g_str_equal(event, "ACPI_DEVICE_OST");
    const gboolean is_error = g_str_equal(event, "MEM_UNPLUG_ERROR") ||
                              g_str_equal(event, "DEVICE_UNPLUG_GUEST_ERROR");
    JsonObject *about = is_ost && data ? json_line_object(data, "info") : data;
    *id = about && (is_ost || is_error) ? json_line_string(about, "device") : NULL;
    if (!*id)
        return OST_NOTHING;
    if (is_ost)
        return judge(json_line_int(about, "source", 0), json_line_int(about, "status", 0),
                     reason);
    const char *why = json_line_string(about, "msg");
    *reason = g_strdup(why ? why : "it gave no reason");
    return OST_REFUSED;
}
