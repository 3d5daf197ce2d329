/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-store.h"

#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "domain-place.h"
#include "error.h"

#define POOL "hostbed"
#define OTHER_POOL "default"
#define FOLDER "/var/lib/libvirt/hostbed"
/* What is written last. */
#define HEAD 65536
/* Of what libvirt sends and takes at once. */
#define CHUNK 65536

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virStoragePool, virStoragePoolFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virStorageVol, virStorageVolFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virStream, virStreamFree)

struct DomainStore {
    virConnectPtr connection;
    virStoragePool *pool;
    GPtrArray *disks; /* names of volumes */
};

static void end_volume(const DomainStore *store, const char *name);

static gpointer
refuse(GError **error, const char *what)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s: %s", what,
                virGetLastErrorMessage());
    return NULL;
}

/* ---- the pool
 * ---------------------------------------------------------------------------------- */

static gboolean
has_files(virStoragePool *pool)
{
    char *xml = virStoragePoolGetXMLDesc(pool, 0);
    gboolean has = xml && domain_pool_has_files(xml);
    free(xml);
    return has;
}

/* NULL: there is none. */
static virStoragePool *
find_pool(virConnectPtr connection, const char *name)
{
    g_autoptr(virStoragePool) pool = virStoragePoolLookupByName(connection, name);
    if (!pool || !has_files(pool))
        return NULL;
    if (virStoragePoolIsActive(pool) != 1 && virStoragePoolCreate(pool, 0) != 0)
        return NULL;
    return g_steal_pointer(&pool);
}

/* It is there until libvirt is started again; what is in its folder stays. */
static virStoragePool *
make_pool(virConnectPtr connection, GError **error)
{
    g_autofree char *xml = domain_pool_xml(POOL, FOLDER);
    virStoragePool *pool =
        virStoragePoolCreateXML(connection, xml, VIR_STORAGE_POOL_CREATE_WITH_BUILD);
    g_autofree char *why = pool ? NULL : g_strdup(virGetLastErrorMessage());
    /* Somebody else may have made it meanwhile. */
    if (!pool)
        pool = find_pool(connection, POOL);
    if (!pool)
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "libvirt makes no pool for what its emulators boot: %s", why);
    return pool;
}

/* Of a session it is not known where its user's files are. */
static gboolean
has_folder(virConnectPtr connection)
{
    char *text = virConnectGetURI(connection);
    g_autoptr(GUri) uri = text ? g_uri_parse(text, G_URI_FLAGS_NONE, NULL) : NULL;
    free(text);
    return uri && g_str_equal(g_uri_get_path(uri), "/system");
}

DomainStore *
domain_store_open(virConnectPtr connection, GError **error)
{
    g_autoptr(virStoragePool) pool = find_pool(connection, POOL);
    if (!pool)
        pool = find_pool(connection, OTHER_POOL);
    if (!pool && has_folder(connection)) {
        pool = make_pool(connection, error);
    } else if (!pool) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "that libvirt has no pool of files for what its emulators boot; make "
                    "one there: virsh pool-create-as " POOL " dir --target FOLDER");
    }
    if (!pool)
        return NULL;
    DomainStore *store = g_new0(DomainStore, 1);
    store->connection = connection;
    store->pool = g_steal_pointer(&pool);
    store->disks = g_ptr_array_new_with_free_func(g_free);
    return store;
}

void
domain_store_free(DomainStore *store)
{
    if (!store)
        return;
    for (guint i = 0; i < store->disks->len; i++)
        end_volume(store, store->disks->pdata[i]);
    g_ptr_array_unref(store->disks);
    virStoragePoolFree(store->pool);
    g_free(store);
}

/* ---- a volume
 * ---------------------------------------------------------------------------------- */

static virStorageVol *
make_volume(const DomainStore *store, const char *name, gsize length, GError **error)
{
    g_autofree char *xml = domain_volume_xml(name, length);
    virStorageVol *volume = virStorageVolLookupByName(store->pool, name);
    if (!volume)
        volume = virStorageVolCreateXML(store->pool, xml, 0);
    if (!volume && virGetLastErrorCode() == VIR_ERR_STORAGE_VOL_EXIST)
        volume = virStorageVolLookupByName(store->pool, name);
    return volume ? volume : refuse(error, "libvirt makes no volume for the host");
}

/* Whether the first LENGTH bytes of VOLUME are BYTES. */
static gboolean
begins_with(const DomainStore *store, virStorageVol *volume, const char *bytes,
            gsize length)
{
    g_autoptr(virStream) stream = virStreamNew(store->connection, 0);
    g_autofree char *there = g_malloc(length);
    gsize got = 0;
    int n = -1;
    if (!stream || virStorageVolDownload(volume, stream, 0, length, 0) != 0)
        return FALSE;
    while (got < length && (n = virStreamRecv(stream, there + got, length - got)) > 0)
        got += (gsize)n;
    if (got < length || virStreamFinish(stream) != 0) {
        virStreamAbort(stream);
        return FALSE;
    }
    return memcmp(there, bytes, length) == 0;
}

/* When this returns, they are on its disk. */
static gboolean
write_part(const DomainStore *store, virStorageVol *volume, const char *bytes,
           gsize offset, gsize length)
{
    g_autoptr(virStream) stream = virStreamNew(store->connection, 0);
    if (!stream || virStorageVolUpload(volume, stream, offset, length, 0) != 0)
        return FALSE;
    for (gsize done = 0; done < length;) {
        int n = virStreamSend(stream, bytes + offset + done, MIN(length - done, CHUNK));
        if (n < 0) {
            virStreamAbort(stream);
            return FALSE;
        }
        done += (gsize)n;
    }
    return virStreamFinish(stream) == 0;
}

/* The first bytes are written in any case: that is how it is known when the volume was
 * used last. */
static gboolean
fill(const DomainStore *store, virStorageVol *volume, const char *bytes, gsize length,
     GError **error)
{
    gsize head = MIN(length, HEAD);
    if ((begins_with(store, volume, bytes, head) || length == head ||
         write_part(store, volume, bytes, head, length - head)) &&
        write_part(store, volume, bytes, 0, head))
        return TRUE;
    refuse(error, "libvirt does not take what the host boots");
    return FALSE;
}

/* Where NAME is, with what is in FILE; a new one needs not be looked at. */
static char *
put_as(DomainStore *store, const char *name, const char *file, gboolean is_new,
       GError **error)
{
    g_autoptr(GMappedFile) mapped = g_mapped_file_new(file, FALSE, error);
    if (!mapped)
        return NULL;
    const char *bytes = g_mapped_file_get_contents(mapped);
    gsize length = g_mapped_file_get_length(mapped);
    g_autoptr(virStorageVol) volume = make_volume(store, name, length, error);
    if (!volume)
        return NULL;
    if (is_new && !write_part(store, volume, bytes, 0, length))
        return refuse(error, "libvirt does not take the host's disk");
    if (!is_new && !fill(store, volume, bytes, length, error))
        return NULL;
    char *path = virStorageVolGetPath(volume);
    char *own = path ? g_strdup(path) : refuse(error, "libvirt names no volume");
    free(path);
    return own;
}

char *
domain_store_put(DomainStore *store, const char *file, GError **error)
{
    g_autofree char *digest = digest_file(file, error);
    g_autofree char *name = digest ? domain_file_name(digest) : NULL;
    return name ? put_as(store, name, file, FALSE, error) : NULL;
}

char *
domain_store_put_disk(DomainStore *store, const char *file, GError **error)
{
    g_autofree char *uuid = g_uuid_string_random();
    g_autofree char *name = domain_file_disk_name(uuid);
    char *path = put_as(store, name, file, TRUE, error);
    g_ptr_array_add(store->disks, g_steal_pointer(&name));
    return path;
}

/* ---- the end of volumes
 * ------------------------------------------------------------------------ */

static void
end_volume(const DomainStore *store, const char *name)
{
    g_autoptr(virStorageVol) volume = virStorageVolLookupByName(store->pool, name);
    if (volume)
        virStorageVolDelete(volume, 0);
}

void
domain_store_tidy(DomainStore *store)
{
    g_autoptr(GPtrArray) files =
        g_ptr_array_new_with_free_func((GDestroyNotify)domain_file_free);
    virStorageVolPtr *volumes = NULL;
    int count = virStoragePoolListAllVolumes(store->pool, &volumes, 0);
    for (int i = 0; i < count; i++) {
        char *xml = virStorageVolGetXMLDesc(volumes[i], 0);
        DomainFile *file = xml ? domain_file_of_volume(xml) : NULL;
        if (file)
            g_ptr_array_add(files, file);
        free(xml);
        virStorageVolFree(volumes[i]);
    }
    free(volumes);
    for (guint i = domain_files_to_keep(files); i < files->len; i++)
        end_volume(store, ((const DomainFile *)files->pdata[i])->name);
}
