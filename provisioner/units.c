/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "units.h"

#include <string.h>

#include "error.h"

static const struct {
    const char *name;
    int shift;
} units[] = {{"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};

/* The decimal number at TEXT, and where it ends; FALSE if there is none or it is too
 * large. */
static gboolean
scan_decimal(const char *text, const char **end, guint64 *number)
{
    if (!g_ascii_isdigit(*text))
        return FALSE;
    guint64 value = 0;
    for (; g_ascii_isdigit(*text); text++)
        if (!g_uint64_checked_mul(&value, value, 10) ||
            !g_uint64_checked_add(&value, value, (guint64)(*text - '0')))
            return FALSE;
    *end = text;
    *number = value;
    return TRUE;
}

/* -1 if NAME is no unit. */
static int
find_unit(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(units); i++)
        if (strcmp(units[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* So many digits of a unit always fit 63 bits; topologies/lab.rng counts them in the same
 * way. */
static gboolean
has_too_many_digits(const char *text, const char *end, int unit)
{
    while (text < end && *text == '0')
        text++;
    return end - text > 18 - 3 * unit;
}

static gboolean
refuse_unit(const char *unit, guint64 number, GError **error)
{
    if (*unit == '\0')
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "has no unit; write '%" G_GUINT64_FORMAT
                    " KiB' or '%" G_GUINT64_FORMAT " MiB', whichever is meant",
                    number, number);
    else
        g_set_error_literal(error, HB_ERROR, HB_USAGE,
                            "is not a whole number with one of the units B, KiB, MiB, "
                            "GiB, TiB, as in '512 MiB'");
    return FALSE;
}

static gboolean
refuse_large(GError **error)
{
    g_set_error_literal(error, HB_ERROR, HB_USAGE,
                        "is more than any machine has; 999999 TiB is the most");
    return FALSE;
}

gboolean
units_parse_size(const char *text, gint64 *bytes, GError **error)
{
    const char *end = text;
    guint64 number = 0;
    if (!g_ascii_isdigit(*text)) {
        g_set_error_literal(
            error, HB_ERROR, HB_USAGE,
            "is not a size; write a whole number and a unit, as in '512 MiB'");
        return FALSE;
    }
    if (!scan_decimal(text, &end, &number))
        return refuse_large(error);
    const char *name = end;
    while (g_ascii_isspace(*name))
        name++;
    int unit = find_unit(name);
    if (unit < 0)
        return refuse_unit(name, number, error);
    if (has_too_many_digits(text, end, unit))
        return refuse_large(error);
    *bytes = (gint64)(number << units[unit].shift);
    return TRUE;
}

char *
units_size_text(gint64 bytes)
{
    g_return_val_if_fail(bytes >= 0, NULL);
    gsize unit = 0;
    while (bytes > 0 && unit + 1 < G_N_ELEMENTS(units) &&
           bytes % (G_GINT64_CONSTANT(1) << units[unit + 1].shift) == 0)
        unit++;
    return g_strdup_printf("%" G_GINT64_FORMAT " %s", bytes >> units[unit].shift,
                           units[unit].name);
}

char *
units_about_text(guint64 bytes)
{
    gsize unit = 0;
    double number = (double)bytes;
    while (number >= 1023.5 && unit + 1 < G_N_ELEMENTS(units)) {
        number /= 1024;
        unit++;
    }
    /* A digit behind the point where it tells something. */
    gboolean is_whole = number >= 99.95 || number * 10 == (double)(gint64)number * 10;
    return g_strdup_printf("%.*f %s", is_whole ? 0 : 1, number, units[unit].name);
}

gboolean
units_parse_number(const char *text, gint64 minimum, gint64 maximum, gint64 *number,
                   GError **error)
{
    gboolean is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    guint64 value = 0;
    if (!g_ascii_string_to_unsigned(is_hex ? text + 2 : text, is_hex ? 16 : 10,
                                    (guint64)minimum, (guint64)maximum, &value, NULL)) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "is not a number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                    minimum, maximum);
        return FALSE;
    }
    *number = (gint64)value;
    return TRUE;
}

/* Puts the range ITEM ("2", "0-3", "^2") into SET, a byte per CPU. */
static gboolean
apply_cpu_range(const char *item, guint maximum, guint8 *set, GError **error)
{
    gboolean take_out = *item == '^';
    const char *end = item;
    guint64 first = 0, last = 0;
    gboolean well_formed = scan_decimal(take_out ? item + 1 : item, &end, &first);
    last = first;
    if (well_formed && *end == '-' && !take_out)
        well_formed = scan_decimal(end + 1, &end, &last);
    if (!well_formed || *end != '\0') {
        g_set_error_literal(
            error, HB_ERROR, HB_USAGE,
            "is not a list of CPUs; write numbers, ranges and ^exceptions, "
            "as in '0-3,8,^2'");
        return FALSE;
    }
    if (last < first) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "has a range that runs backwards; write '%" G_GUINT64_FORMAT
                    "-%" G_GUINT64_FORMAT "'",
                    last, first);
        return FALSE;
    }
    if (last > maximum) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "names CPU %" G_GUINT64_FORMAT "; the highest possible is %u", last,
                    maximum);
        return FALSE;
    }
    memset(set + first, !take_out, last - first + 1);
    return TRUE;
}

GArray *
units_parse_cpus(const char *text, guint maximum, GError **error)
{
    g_autofree guint8 *set = g_malloc0((gsize)maximum + 1);
    g_auto(GStrv) items = g_strsplit(text, ",", -1);
    for (char **item = items; *item; item++)
        if (!apply_cpu_range(*item, maximum, set, error))
            return NULL;

    g_autoptr(GArray) cpus = g_array_new(FALSE, FALSE, sizeof(guint));
    for (guint cpu = 0; cpu <= maximum; cpu++)
        if (set[cpu])
            g_array_append_val(cpus, cpu);
    if (cpus->len == 0) {
        g_set_error_literal(error, HB_ERROR, HB_USAGE,
                            "names no CPU; leave it out for a cell without CPUs");
        return NULL;
    }
    return g_steal_pointer(&cpus);
}

char *
units_cpus_text(const GArray *cpus)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < cpus->len;) {
        guint first = g_array_index(cpus, guint, i);
        guint last = first;
        for (i++; i < cpus->len && g_array_index(cpus, guint, i) == last + 1; i++)
            last++;
        g_string_append_printf(text, "%s%u", text->len ? "," : "", first);
        if (last > first)
            g_string_append_printf(text, "-%u", last);
    }
    return g_string_free(text, FALSE);
}
