/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "describe.h"

#include <string.h>

#define PCI_PREFIX "http://pcisig.com/pci/"

static void
set_text(JsonObject *object, const char *name, const char *text)
{
    if (!text || !*text)
        return;
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    json_object_set_string_member(object, name, valid);
}

static gboolean
is_for(const char *architecture, const char *arch)
{
    return architecture &&
           (strcmp(architecture, arch) == 0 || strcmp(architecture, "all") == 0);
}

/* ---- who it is -------------------------------------------------------------------- */

static void
set_short_ids(JsonObject *object, OsinfoOs *os)
{
    JsonArray *array = json_array_new();
    g_autoptr(GPtrArray) ids = database_short_ids(os);
    for (guint i = 0; i < ids->len; i++)
        json_array_add_string_element(array, ids->pdata[i]);
    json_object_set_array_member(object, "short-ids", array);
}

static void
set_identity(JsonObject *object, OsinfoOs *os)
{
    OsinfoProduct *product = OSINFO_PRODUCT(os);
    const char *id = osinfo_entity_get_id(OSINFO_ENTITY(os));
    const char *name = osinfo_product_get_name(product);
    set_text(object, "id", id);
    set_text(object, "short-id", osinfo_product_get_short_id(product));
    set_text(object, "name", name ? name : id);
}

/* ---- what it needs ---------------------------------------------------------------- */

/* What is said of ARCH goes before what is said of all. Takes LIST. */
static void
set_resources(JsonObject *object, const char *what, OsinfoResourcesList *list,
              const char *arch)
{
    OsinfoResources *best = NULL;
    for (int i = 0; i < osinfo_list_get_length(OSINFO_LIST(list)); i++) {
        OsinfoResources *each =
            OSINFO_RESOURCES(osinfo_list_get_nth(OSINFO_LIST(list), i));
        const char *architecture = osinfo_resources_get_architecture(each);
        if (is_for(architecture, arch) && (!best || strcmp(architecture, arch) == 0))
            best = each;
    }
    JsonObject *inside = json_object_new();
    if (best && osinfo_resources_get_ram(best) >= 0)
        json_object_set_int_member(inside, "memory-bytes",
                                   osinfo_resources_get_ram(best));
    if (best && osinfo_resources_get_n_cpus(best) >= 0)
        json_object_set_int_member(inside, "cpus", osinfo_resources_get_n_cpus(best));
    if (best && osinfo_resources_get_storage(best) >= 0)
        json_object_set_int_member(inside, "storage-bytes",
                                   osinfo_resources_get_storage(best));
    json_object_set_object_member(object, what, inside);
    g_object_unref(list);
}

/* ---- devices ---------------------------------------------------------------------- */

/* "8086:10d3" of a PCI device; NULL for others. Owned by the caller. */
static char *
pci_id(OsinfoEntity *device)
{
    const char *id = osinfo_entity_get_id(device);
    if (!g_str_has_prefix(id, PCI_PREFIX))
        return NULL;
    g_auto(GStrv) parts = g_strsplit(id + strlen(PCI_PREFIX), "/", -1);
    if (g_strv_length(parts) != 2 || strlen(parts[0]) != 4 || strlen(parts[1]) != 4 ||
        strspn(parts[0], "0123456789abcdefABCDEF") != 4 ||
        strspn(parts[1], "0123456789abcdefABCDEF") != 4)
        return NULL;
    g_autofree char *pci = g_strdup_printf("%s:%s", parts[0], parts[1]);
    return g_ascii_strdown(pci, -1);
}

/* Adds the PCI devices of LIST (taken), those of CLASS_NAME only if it is not NULL, to
 * TABLE: char * → OsinfoDevice, borrowed from the database. */
static void
add_devices(GHashTable *table, OsinfoDeviceList *list, const char *class_name)
{
    for (int i = 0; i < osinfo_list_get_length(OSINFO_LIST(list)); i++) {
        OsinfoEntity *device = osinfo_list_get_nth(OSINFO_LIST(list), i);
        const char *has = osinfo_device_get_class(OSINFO_DEVICE(device));
        char *pci =
            !class_name || g_strcmp0(has, class_name) == 0 ? pci_id(device) : NULL;
        if (pci)
            g_hash_table_insert(table, pci, device);
    }
    g_object_unref(list);
}

static GHashTable *
devices_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

/* Where a database lists devices of these classes for a system, it lists those that the
 * system has drivers for; so silence tells. Of other classes it lists what matters to
 * installers only. */
static void
add_silent_classes(GHashTable *lacking, const Database *database, GHashTable *has)
{
    static const char *const classes[] = {"net", "block"};
    for (guint i = 0; i < G_N_ELEMENTS(classes); i++) {
        GHashTableIter iter;
        gpointer device;
        gboolean tells = FALSE;
        g_hash_table_iter_init(&iter, has);
        while (!tells && g_hash_table_iter_next(&iter, NULL, &device))
            tells = g_strcmp0(osinfo_device_get_class(device), classes[i]) == 0;
        if (tells)
            add_devices(lacking, osinfo_db_get_device_list(database->all), classes[i]);
    }
}

/* The project's own database lists all that matters to labs: what another system of the
 * same distribution has there, this one has not, unless it says so. */
static void
add_silent_kin(GHashTable *lacking, const Database *database, OsinfoOs *own)
{
    const char *distro = osinfo_os_get_distro(own);
    g_autoptr(OsinfoOsList) list = osinfo_db_get_os_list(database->own);
    for (int i = 0; i < osinfo_list_get_length(OSINFO_LIST(list)); i++) {
        OsinfoOs *other = OSINFO_OS(osinfo_list_get_nth(OSINFO_LIST(list), i));
        if (distro && g_strcmp0(osinfo_os_get_distro(other), distro) == 0)
            add_devices(lacking, osinfo_os_get_devices(other, NULL), NULL);
    }
}

static void
add_device(JsonArray *array, const char *pci, OsinfoDevice *device)
{
    const char *name = osinfo_device_get_name(device);
    JsonObject *object = json_object_new();
    set_text(object, "pci", pci);
    set_text(object, "name", name ? name : pci);
    set_text(object, "class", osinfo_device_get_class(device));
    json_array_add_object_element(array, object);
}

/* Those of DEVICES that are not in EXCEPT (or NULL), in the order of their ids. */
static JsonArray *
tell_devices(GHashTable *devices, GHashTable *except)
{
    JsonArray *array = json_array_new();
    g_autoptr(GList) ids =
        g_list_sort(g_hash_table_get_keys(devices), (GCompareFunc)strcmp);
    for (GList *id = ids; id; id = id->next)
        if (!except || !g_hash_table_contains(except, id->data))
            add_device(array, id->data, g_hash_table_lookup(devices, id->data));
    return array;
}

static void
set_devices(JsonObject *object, const Database *database, OsinfoOs *os)
{
    g_autoptr(GHashTable) has = devices_new();
    g_autoptr(GHashTable) lacking = devices_new();
    OsinfoOs *own = database_find_own(database, os);
    add_devices(has, osinfo_os_get_all_devices(os, NULL), NULL);
    add_silent_classes(lacking, database, has);
    if (own)
        add_silent_kin(lacking, database, own);
    json_object_set_array_member(object, "devices", tell_devices(has, NULL));
    json_object_set_array_member(object, "lacking", tell_devices(lacking, has));
}

/* ---- firmware --------------------------------------------------------------------- */

static void
set_firmware(JsonObject *object, OsinfoOs *os, const char *arch)
{
    JsonArray *has = json_array_new(), *lacks = json_array_new();
    g_autoptr(GHashTable) told =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    OsinfoFirmwareList *list = osinfo_os_get_complete_firmware_list(os, NULL);
    for (int i = 0; i < osinfo_list_get_length(OSINFO_LIST(list)); i++) {
        OsinfoFirmware *firmware =
            OSINFO_FIRMWARE(osinfo_list_get_nth(OSINFO_LIST(list), i));
        const char *kind = osinfo_firmware_get_firmware_type(firmware);
        if (kind && is_for(osinfo_firmware_get_architecture(firmware), arch) &&
            g_hash_table_add(told, g_strdup(kind)))
            json_array_add_string_element(
                osinfo_firmware_is_supported(firmware) ? has : lacks, kind);
    }
    g_object_unref(list);
    json_object_set_array_member(object, "firmware", has);
    json_object_set_array_member(object, "firmware-lacking", lacks);
}

/* ---- images and trees ------------------------------------------------------------- */

static void
set_variant(JsonObject *object, OsinfoImage *image)
{
    OsinfoOsVariantList *variants = osinfo_image_get_os_variants(image);
    if (!variants)
        return;
    if (osinfo_list_get_length(OSINFO_LIST(variants)) > 0)
        set_text(object, "variant",
                 osinfo_entity_get_id(osinfo_list_get_nth(OSINFO_LIST(variants), 0)));
    g_object_unref(variants);
}

static void
add_images(OsinfoOs *os, const char *arch, GHashTable *told, JsonArray *array)
{
    OsinfoImageList *list = osinfo_os_get_image_list(os);
    for (int i = 0; i < osinfo_list_get_length(OSINFO_LIST(list)); i++) {
        OsinfoImage *image = OSINFO_IMAGE(osinfo_list_get_nth(OSINFO_LIST(list), i));
        const char *url = osinfo_image_get_url(image);
        if (!url || !is_for(osinfo_image_get_architecture(image), arch) ||
            !g_hash_table_add(told, g_strdup(url)))
            continue;
        JsonObject *object = json_object_new();
        set_text(object, "url", url);
        set_text(object, "format", osinfo_image_get_format(image));
        set_variant(object, image);
        json_object_set_boolean_member(object, "cloud-init",
                                       osinfo_image_get_cloud_init(image));
        json_array_add_object_element(array, object);
    }
    g_object_unref(list);
}

/* Those of the own database first. */
static void
set_images(JsonObject *object, const Database *database, OsinfoOs *os, const char *arch)
{
    JsonArray *array = json_array_new();
    g_autoptr(GHashTable) told =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    OsinfoOs *own = database_find_own(database, os);
    if (own)
        add_images(own, arch, told, array);
    add_images(os, arch, told, array);
    json_object_set_array_member(object, "images", array);
}

static void
set_trees(JsonObject *object, OsinfoOs *os, const char *arch)
{
    JsonArray *array = json_array_new();
    OsinfoTreeList *list = osinfo_os_get_tree_list(os);
    for (int i = 0; i < osinfo_list_get_length(OSINFO_LIST(list)); i++) {
        OsinfoTree *tree = OSINFO_TREE(osinfo_list_get_nth(OSINFO_LIST(list), i));
        if (!osinfo_tree_get_url(tree) ||
            g_strcmp0(osinfo_tree_get_architecture(tree), arch) != 0)
            continue;
        JsonObject *each = json_object_new();
        set_text(each, "url", osinfo_tree_get_url(tree));
        set_text(each, "kernel", osinfo_tree_get_kernel_path(tree));
        set_text(each, "initrd", osinfo_tree_get_initrd_path(tree));
        json_array_add_object_element(array, each);
    }
    g_object_unref(list);
    json_object_set_array_member(object, "trees", array);
}

/* ---- together --------------------------------------------------------------------- */

JsonObject *
describe_os(const Database *database, OsinfoOs *os, const char *arch)
{
    OsinfoProduct *product = OSINFO_PRODUCT(os);
    JsonObject *object = json_object_new();
    set_identity(object, os);
    set_short_ids(object, os);
    set_text(object, "version", osinfo_product_get_version(product));
    set_text(object, "family", osinfo_os_get_family(os));
    set_text(object, "distro", osinfo_os_get_distro(os));
    set_text(object, "codename", osinfo_product_get_codename(product));
    set_text(object, "release-date", osinfo_product_get_release_date_string(product));
    set_text(object, "eol-date", osinfo_product_get_eol_date_string(product));
    set_resources(object, "minimum", osinfo_os_get_minimum_resources(os), arch);
    set_resources(object, "recommended", osinfo_os_get_recommended_resources(os), arch);
    set_firmware(object, os, arch);
    set_devices(object, database, os);
    set_images(object, database, os, arch);
    set_trees(object, os, arch);
    return object;
}

JsonObject *
describe_briefly(OsinfoOs *os, const char *arch)
{
    JsonArray *images = json_array_new();
    g_autoptr(GHashTable) told =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    JsonObject *object = json_object_new();
    set_identity(object, os);
    add_images(os, arch, told, images);
    json_object_set_int_member(object, "images", json_array_get_length(images));
    json_array_unref(images);
    return object;
}
