/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * From a request to an image: its key, the base, the order to hostbed-guestfs. One user's
 * images are made one after another, since each takes a machine of its own, and whoever
 * waited may find that his is there.
 */
#include "os-image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "image.h"
#include "os-base.h"
#include "os-image-parts.h"
#include "os-recipe.h"

/* Of the file system for what is in a tarball or folder. It takes what is in it. */
#define TREE_SIZE ((gint64)8 << 30)
#define LOCK_TURN_MS 100
#define SSH_KEY_MAX 65536
/* supermin, which makes libguestfs's appliance, gives it the folder's owner and mode,
 * whatever modules it is told to take. A machine without a kernel of its own, as a
 * container is, has none. */
#define MODULES_FOLDER "/lib/modules"

typedef struct {
    const OsImageRequest *request;
    OsBase *base;
    OsRecipe *recipe;    /* NULL: the base is a file */
    GPtrArray *payload;  /* LabStep: agent and suites */
    GPtrArray *packages; /* char *, borrowed: for hostbed-guestfs */
    char *ssh_key;       /* or NULL */
    char *key;
} Making;

static void
making_clear(Making *making)
{
    os_base_free(making->base);
    os_recipe_free(making->recipe);
    g_clear_pointer(&making->payload, g_ptr_array_unref);
    g_clear_pointer(&making->packages, g_ptr_array_unref);
    g_free(making->ssh_key);
    g_free(making->key);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Making, making_clear)

/* ---- what is asked for
 * ----------------------------------------------------------------------------- */

static gboolean
take_packages(Making *making, GError **error)
{
    const OsImageRequest *request = making->request;
    for (guint i = 0; request->steps && i < request->steps->len; i++) {
        const LabStep *step = request->steps->pdata[i];
        if (step->kind == LAB_STEP_PACKAGE)
            g_ptr_array_add(making->recipe ? making->recipe->packages : making->packages,
                            making->recipe ? g_strdup(step->text) : step->text);
    }
    if (making->packages->len == 0 || request->mirror || request->proxy)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_USAGE,
                "the package '%s' needs a <mirror> or a <proxy> to come from, as nothing "
                "else reaches a network",
                (char *)making->packages->pdata[0]);
    return FALSE;
}

/* The beginning of a file of the lab's choice, which may be a device without end; "" if
 * it is no text. */
static char *
read_short(const char *path, GError **error)
{
    struct stat st;
    g_autofree char *text = g_malloc0(SSH_KEY_MAX + 1);
    g_auto(AutoFd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    gboolean is_file = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    ssize_t got = is_file ? read(fd, text, SSH_KEY_MAX) : -1;
    if (got >= 0)
        return g_strdup(g_utf8_validate(text, got, NULL) ? text : "");
    g_set_error(error, HB_ERROR, HB_USAGE, "cannot read the ssh key %s: %s", path,
                fd >= 0 && !is_file ? "it is no regular file" : g_strerror(errno));
    return NULL;
}

static gboolean
read_ssh_key(Making *making, GError **error)
{
    const char *path = making->request->ssh_key;
    g_autofree char *text = path ? read_short(path, error) : NULL;
    if (!text)
        return !path;
    g_strstrip(text);
    /* Nobody means to put a private one into an image. */
    if (!*text || strchr(text, '\n') || strstr(text, "PRIVATE KEY")) {
        g_set_error(
            error, HB_ERROR, HB_USAGE,
            "%s is no public ssh key: it should be one line, as in id_ed25519.pub", path);
        return FALSE;
    }
    making->ssh_key = g_steal_pointer(&text);
    return TRUE;
}

static gboolean
take_request(Making *making, GError **error)
{
    const OsImageRequest *request = making->request;
    making->packages = g_ptr_array_new();
    making->base = os_base_find(request->from, error);
    if (!making->base)
        return FALSE;
    if (making->base->kind == OS_BASE_RECIPE) {
        making->recipe = os_recipe_load(request->from, error);
        if (!making->recipe)
            return FALSE;
    }
    making->payload = os_image_payload(request->agent, request->suites_dir, error);
    return making->payload && take_packages(making, error) && read_ssh_key(making, error);
}

/* ---- its key
 * ---------------------------------------------------------------------------------------
 */

/* Counts up with each change of what is done to all images. */
#define IMAGE_VERSION "image 5\n"

/* Quoted, so that no other words make the same text. */
static void
add_word(GString *text, const char *word)
{
    g_autofree char *escaped = word ? g_strescape(word, NULL) : NULL;
    if (escaped)
        g_string_append_printf(text, " \"%s\"", escaped);
    else
        g_string_append(text, " -");
}

static void
add_line(GString *text, const char *name, const char *word)
{
    g_string_append(text, name);
    add_word(text, word);
    g_string_append_c(text, '\n');
}

static gboolean
add_step(GString *text, const LabStep *step, GError **error)
{
    g_autofree char *digest = step->from ? os_base_digest(step->from, error) : NULL;
    if (step->from && !digest)
        return FALSE;
    g_string_append_printf(text, "step %d %d", (int)step->kind, step->mode);
    add_word(text, digest);
    add_word(text, step->path);
    add_line(text, "", step->text);
    return TRUE;
}

static gboolean
add_steps(GString *text, const GPtrArray *steps, GError **error)
{
    for (guint i = 0; steps && i < steps->len; i++)
        if (!add_step(text, steps->pdata[i], error))
            return FALSE;
    return TRUE;
}

static char *
base_digest(const Making *making, GError **error)
{
    return making->recipe ? os_recipe_digest(making->recipe, making->request->mirror)
                          : os_base_digest(making->base->path, error);
}

static gboolean
make_key(Making *making, GError **error)
{
    const OsImageRequest *request = making->request;
    g_autofree char *digest = base_digest(making, error);
    g_autoptr(GString) text = g_string_new(IMAGE_VERSION);
    if (!digest)
        return FALSE;
    add_line(text, os_base_kind_name(making->base->kind), digest);
    g_string_append_printf(text, "size %" G_GINT64_FORMAT " loader %d\n",
                           MAX(request->size_bytes, 0), request->loader);
    add_line(text, "mirror", request->mirror);
    add_line(text, "ssh", making->ssh_key);
    add_line(text, "cmdline", request->cmdline);
    if (!add_steps(text, making->payload, error) ||
        !add_steps(text, request->steps, error))
        return FALSE;
    making->key = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, -1);
    return TRUE;
}

char *
os_image_key(const OsImageRequest *request, GError **error)
{
    g_auto(Making) making = {.request = request};
    return take_request(&making, error) && make_key(&making, error)
               ? g_steal_pointer(&making.key)
               : NULL;
}

/* ---- the order
 * -------------------------------------------------------------------------------------
 */

static void
set_text(JsonObject *object, const char *name, const char *text)
{
    if (text)
        json_object_set_string_member(object, name, text);
}

static void
add_json_steps(JsonArray *array, const GPtrArray *steps)
{
    for (guint i = 0; steps && i < steps->len; i++) {
        const LabStep *step = steps->pdata[i];
        JsonObject *object = json_object_new();
        set_text(object, "do", lab_step_name(step->kind));
        set_text(object, "from", step->from);
        set_text(object, "path", step->path);
        set_text(object, "text", step->text);
        json_object_set_int_member(object, "mode", step->mode);
        json_array_add_object_element(array, object);
    }
}

static void
add_packages(JsonObject *order, const GPtrArray *packages)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < packages->len; i++)
        json_array_add_string_element(array, packages->pdata[i]);
    json_object_set_array_member(order, "packages", array);
}

/* PATH: of the base as a file. */
static JsonNode *
order_of(const Making *making, const char *path, const char *folder,
         const char *appliance)
{
    const OsImageRequest *request = making->request;
    OsBaseKind kind = making->recipe ? OS_BASE_QCOW2 : making->base->kind;
    gboolean is_tree = kind == OS_BASE_TAR || kind == OS_BASE_FOLDER;
    g_autoptr(JsonObject) order = json_object_new();
    JsonArray *steps = json_array_new();
    add_json_steps(steps, making->payload);
    add_json_steps(steps, request->steps);
    json_object_set_array_member(order, "steps", steps);
    if (making->packages->len > 0)
        add_packages(order, making->packages);
    set_text(order, "base", making->base->name);
    set_text(order, "kind", os_base_kind_name(kind));
    set_text(order, "path", path);
    set_text(order, "folder", folder);
    set_text(order, "cache", appliance);
    set_text(order, "emulator", request->emulator);
    set_text(order, "mirror", request->mirror);
    set_text(order, "proxy", request->proxy);
    set_text(order, "ssh_key", making->ssh_key);
    set_text(order, "cmdline", request->cmdline);
    json_object_set_boolean_member(order, "force_tcg", request->force_tcg);
    json_object_set_boolean_member(order, "loader", request->loader);
    json_object_set_boolean_member(order, "plain", making->recipe != NULL);
    json_object_set_int_member(order, "size",
                               MAX(request->size_bytes, is_tree ? TREE_SIZE : 0));
    os_image_add_kernel(order);
    return json_node_init_object(json_node_alloc(), order);
}

/* ---- made
 * ------------------------------------------------------------------------------------------
 */

static char *
base_path(const Making *making, ServantEvent event, gpointer user_data,
          GCancellable *cancellable, GError **error)
{
    if (!making->recipe)
        return g_strdup(making->base->path);
    const OsRecipeBuild build = {making->request->mirror, making->request->proxy, event,
                                 user_data, cancellable};
    return os_recipe_base(making->recipe, &build, error);
}

/* Who writes to a base, or to what is copied, while it is read has an image of neither.
 */
static gboolean
is_still_so(const Making *making, GError **error)
{
    g_autofree char *key = os_image_key(making->request, error);
    if (key && !g_str_equal(key, making->key))
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "%s, or what goes into the image, has changed while that was made; "
                    "make it again",
                    making->base->name);
    return key && g_str_equal(key, making->key);
}

/* Packages take a minute, and should not be taken for nothing. */
static OsImage *
make(const Making *making, ServantEvent event, gpointer user_data,
     GCancellable *cancellable, GError **error)
{
    const gint64 maximum = os_image_maximum(error);
    g_autofree char *appliance = maximum < 0 ? NULL : cache_dir("appliance", error);
    g_autofree char *path =
        appliance && (!making->recipe || os_image_has_kernel(appliance, error))
            ? base_path(making, event, user_data, cancellable, error)
            : NULL;
    g_autoptr(CacheFolder) folder = path ? cache_folder_new(OS_IMAGE_KIND, error) : NULL;
    if (!folder || !os_image_check_room(making->base->kind, path, making->request->steps,
                                        folder->path, error))
        return NULL;
    g_autoptr(JsonNode) order = order_of(making, path, folder->path, appliance);
    g_autoptr(JsonObject) about =
        servant_ask(OS_IMAGE_SERVANT, order, event, user_data, cancellable, error);
    const char *from = making->base->path ? making->base->path : making->base->name;
    if (!about || !is_still_so(making, error) ||
        !os_image_commit(folder, making->key, from, about, error))
        return NULL;
    os_image_prune(maximum, making->key);
    g_autofree char *place = os_image_folder(making->key);
    return os_image_open(place, error);
}

static gboolean
on_turn(gpointer user_data)
{
    gboolean *over = user_data;
    *over = TRUE;
    return G_SOURCE_REMOVE;
}

/* A lock cannot be waited for together with an interrupt; -1: that came, or there can be
 * no lock. */
static int
lock_images(ServantEvent event, gpointer user_data, GCancellable *cancellable,
            GError **error)
{
    g_autofree char *dir = cache_dir(OS_IMAGE_KIND, error);
    g_auto(AutoFd) fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir && fd < 0)
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot open %s: %s", dir,
                    g_strerror(errno));
    gboolean said = FALSE;
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        gboolean over = FALSE;
        if (errno != EWOULDBLOCK) {
            g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                        "cannot lock %s, so that one image is made at a time: %s", dir,
                        g_strerror(errno));
            return -1;
        }
        if (g_cancellable_is_cancelled(cancellable))
            break;
        if (!said)
            servant_say(event, user_data, "waiting for another hostbed's image");
        said = TRUE;
        g_timeout_add(LOCK_TURN_MS, on_turn, &over);
        while (!over)
            g_main_context_iteration(NULL, TRUE);
    }
    int locked = fd;
    fd = -1;
    return locked;
}

OsImage *
os_image_prepare(const OsImageRequest *request, ServantEvent event, gpointer user_data,
                 GCancellable *cancellable, GError **error)
{
    g_auto(Making) making = {.request = request};
    if (!take_request(&making, error) || !make_key(&making, error))
        return NULL;
    g_autofree char *place = os_image_folder(making.key);
    OsImage *image = os_image_open(place, NULL);
    if (image)
        return image;
    g_auto(AutoFd) lock = lock_images(event, user_data, cancellable, error);
    if (g_cancellable_set_error_if_cancelled(cancellable, NULL)) {
        g_clear_error(error);
        g_set_error_literal(error, HB_ERROR, HB_INTERRUPTED,
                            "interrupted while another image was made");
        return NULL;
    }
    image = lock >= 0 ? os_image_open(place, NULL) : NULL;
    if (image || lock < 0)
        return image;
    if (!os_image_can_prepare(error))
        return NULL;
    /* One that is damaged makes way. */
    if (g_file_test(place, G_FILE_TEST_EXISTS) && !os_image_remove(making.key, error))
        return NULL;
    return make(&making, event, user_data, cancellable, error);
}

void
os_image_request_take(OsImageRequest *request, const LabImage *image)
{
    request->from = image->from;
    request->size_bytes = image->size_bytes;
    request->steps = image->steps;
    request->mirror = image->mirror;
    request->proxy = image->proxy;
    request->ssh_key = image->ssh_key;
    request->loader = image->loader;
}

GStrv
os_image_recipes(void)
{
    return os_recipe_names();
}

gboolean
os_image_is_recipe(const char *name)
{
    g_auto(GStrv) names = os_recipe_names();
    return g_strv_contains((const char *const *)names, name);
}
