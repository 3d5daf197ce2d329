/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The driver of real hosts: lab-boot.h and guest.h behind what a session needs.
 */
#include "error.h"
#include "lab-boot.h"
#include "prepare-layer.h"
#include "session.h"

static void
on_step(const char *what, gpointer user_data)
{
    const SessionOptions *options = user_data;
    if (options->step)
        options->step(what, options->user_data);
}

/* Plain emulation of several CPUs runs no Linux inside for long (docs/facts.rst), and the
 * kernel for it would be half of the image. */
static gboolean
may_run_linux(const SessionOptions *options)
{
    return options->accel != ACCEL_TCG || options->plan->cpu_count == 1;
}

/* const Suite *: those that the host is made for. One whose template is kept is made for
 * all of ours, so that it is the same whichever are selected. */
static GPtrArray *
made_for(const SessionOptions *options)
{
    GPtrArray *list = g_ptr_array_new();
    gboolean ours = TRUE;
    for (guint i = 0; i < options->suites->len; i++) {
        Suite *suite = options->suites->pdata[i];
        ours = ours && !suite->command;
        g_ptr_array_add(list, suite);
    }
    if (!options->keep || !ours)
        return list;
    g_ptr_array_set_size(list, 0);
    for (const Suite *suite = suites; suite->name; suite++)
        g_ptr_array_add(list, (gpointer)suite);
    return list;
}

/* Modules that no suite uses would only make the image larger, and what nobody counts
 * need not be captured. */
static void
find_uses(const SessionOptions *options, const GPtrArray *list, BootOptions *boot)
{
    for (guint i = 0; i < list->len; i++) {
        const Suite *suite = list->pdata[i];
        if (!suite->uses_vfio && !suite->uses_kvm && !suite->counts)
            continue;
        g_autofree char *unmet = suite_unmet(suite, options->plan);
        boot->vfio |= suite->uses_vfio && !unmet;
        boot->kvm |= suite->uses_kvm && !unmet;
        boot->peers_guests |= suite->peers_too && !unmet;
        boot->inner |= boot->kvm && may_run_linux(options);
        boot->capture |= suite->counts && !unmet;
    }
}

/* The drivers of what will be plugged. */
static void
add_modules_of_plugged(GStrvBuilder *builder, const Plan *plan, const GPtrArray *list)
{
    const Plan *filled = plan->filled;
    gboolean plugs = FALSE;
    for (guint i = 0; i < list->len && !plugs; i++) {
        const Suite *suite = list->pdata[i];
        g_autofree char *unmet = suite->plugs ? suite_unmet(suite, plan) : NULL;
        plugs = suite->plugs && !unmet;
    }
    for (guint i = 0; plugs && filled && i < filled->modules->len; i++) {
        const char *module = filled->modules->pdata[i];
        if (!g_ptr_array_find_with_equal_func(plan->modules, module, g_str_equal, NULL))
            g_strv_builder_add(builder, module);
    }
}

static GStrv
wanted_modules(const SessionOptions *options, const GPtrArray *list)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    add_modules_of_plugged(builder, options->plan, list);
    if (options->modules)
        g_strv_builder_addv(builder, (const char **)options->modules);
    if (options->bindings && options->bindings->asked > 0)
        g_strv_builder_add(builder, BIND_MODULE);
    return g_strv_builder_end(builder);
}

/* The programs of what suites start from that come with that, when the host runs. */
static GStrv
later_of(const SessionOptions *options)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (guint i = 0; options->prepare && i < options->prepare->len; i++) {
        const Suite *suite = options->prepare->pdata[i];
        if (prepare_brings(options->plan, suite))
            g_strv_builder_add(builder, suite->command[0]);
    }
    return g_strv_builder_end(builder);
}

/* The programs of somebody else's suites, and of what they start from. */
static GStrv
commands_of(const SessionOptions *options)
{
    const GPtrArray *const lists[] = {options->prepare, options->suites};
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (gsize n = 0; n < G_N_ELEMENTS(lists); n++) {
        for (guint i = 0; lists[n] && i < lists[n]->len; i++) {
            const Suite *suite = lists[n]->pdata[i];
            if (suite->command &&
                !(lists[n] == options->prepare && prepare_brings(options->plan, suite)))
                g_strv_builder_add(builder, suite->command[0]);
        }
    }
    return g_strv_builder_end(builder);
}

/* Calls back with what a start takes. */
typedef void *(*WithBoot)(const SessionOptions *options, const BootOptions *boot,
                          gpointer user_data);

static void *
with_boot_options(const SessionOptions *options, const char *log_dir, WithBoot use,
                  gpointer user_data)
{
    g_autoptr(GPtrArray) list = made_for(options);
    g_auto(GStrv) modules = wanted_modules(options, list);
    g_auto(GStrv) commands = commands_of(options), later = later_of(options);
    BootOptions boot = {
        .plan = options->plan,
        .emulator = options->emulator,
        .connect = options->connect,
        .accel = options->accel,
        .kernel = options->kernel,
        .modules = (const char *const *)modules,
        .programs = options->programs,
        .copies = options->copies,
        .folder = options->folder,
        .commands = (const char *const *)commands,
        .later = (const char *const *)later,
        .tools = *commands || *later,
        .suites = TRUE,
        .log_dir = log_dir,
        .capture = options->capture,
        .once = options->once,
        .keep = options->keep,
        .extra_args = options->extra_args,
        .interrupt = options->interrupt,
        .step = on_step,
        .user_data = (gpointer)options,
    };
    find_uses(options, list, &boot);
    return use(options, &boot, user_data);
}

typedef struct {
    gboolean freezable;
    GError **error;
} Start;

static void
on_obstacle(const char *why, gpointer user_data)
{
    const SessionOptions *options = user_data;
    g_autofree char *how = session_cannot_freeze(why);
    if (options->frozen)
        options->frozen(TRUE, how, options->user_data);
}

static void *
start_with(const SessionOptions *options, const BootOptions *boot, gpointer user_data)
{
    const Start *call = user_data;
    BootOptions freezable = *boot;
    freezable.freezable = call->freezable;
    freezable.obstacle = on_obstacle;
    freezable.obstacle_data = (gpointer)options;
    return lab_boot(&freezable, options->peers, call->error);
}

static void *
start(const SessionOptions *options, gboolean freezable, const char *log_dir,
      GError **error)
{
    Start call = {freezable, error};
    return with_boot_options(options, log_dir, start_with, &call);
}

static void
stop(void *host)
{
    lab_boot_free(host);
}

/* The one that the session is about. */
static Boot *
own(void *host)
{
    return lab_boot_own(host);
}

static const char *
retried(void *host)
{
    return own(host)->retried;
}

static Accel
accel(void *host)
{
    return own(host)->accel->accel;
}

static char *
observe(void *host, GError **error)
{
    Boot *boot = own(host);
    g_autoptr(GError) failure = NULL;
    char *observation = guest_observe(boot->guest, boot_cancellable(boot), &failure);
    if (!observation) {
        boot_explain(boot, &failure);
        g_propagate_error(error, g_steal_pointer(&failure));
    }
    return observation;
}

/* ---- of one host: what it is asked through its agent */

static gboolean
explained(Boot *boot, gboolean ok, GError *failure, GError **error)
{
    if (ok)
        return TRUE;
    boot_explain(boot, &failure);
    g_propagate_error(error, failure);
    return FALSE;
}

static gboolean
put_into(void *host, const char *path, guint mode, GBytes *content, GError **error)
{
    Boot *boot = host;
    GError *failure = NULL;
    gboolean ok =
        guest_put(boot->guest, path, mode, content, boot_cancellable(boot), &failure);
    return explained(boot, ok, failure, error);
}

static gboolean
run_in(void *host, const GuestCommand *command, GuestExit *result, GError **error)
{
    Boot *boot = host;
    GError *failure = NULL;
    gboolean ok =
        guest_run(boot->guest, command, result, boot_cancellable(boot), &failure);
    return explained(boot, ok, failure, error);
}

/* ---- of the lab's own host */

static gboolean
put(void *host, const char *path, guint mode, GBytes *content, GError **error)
{
    return put_into(own(host), path, mode, content, error);
}

static gboolean
run(void *host, const GuestCommand *command, GuestExit *result, GError **error)
{
    return run_in(own(host), command, result, error);
}

static gboolean
sound(void *host, GError **error)
{
    /* An event that was sent before the program's end may wait to be read. */
    while (g_main_context_iteration(NULL, FALSE))
        ;
    GError *failure = lab_boot_failure(host);
    if (!failure)
        return TRUE;
    g_propagate_error(error, failure);
    return FALSE;
}

static gboolean
run_in_peers(void *host, const char *const *argv, GError **error)
{
    return lab_boot_run_in_peers(host, argv, error);
}

static void
ask_peer(void *host, const char *peer, const char *command, QmpReply reply,
         gpointer user_data)
{
    Boot *boot = lab_boot_peer(host, peer);
    qmp_send(machine_qmp(boot->machine), command, NULL, reply, user_data);
}

static GCancellable *
give_up_peer(void *host, const char *peer)
{
    Boot *boot = lab_boot_peer(host, peer);
    boot->given_up = TRUE;
    return machine_gone(boot->machine);
}

static const GError *
peer_failure(void *host, const char *peer)
{
    return machine_failure(lab_boot_peer(host, peer)->machine);
}

static Segments *
segments(void *host)
{
    return ((LabBoot *)host)->segments;
}

static gint64
boot_us(void *host)
{
    return own(host)->boot_us;
}

static gint64
starved_us(void *host)
{
    return machine_starved_us(own(host)->machine);
}

static void
time_out(void *host)
{
    guest_time_out(own(host)->guest);
}

static const char *
captures(void *host)
{
    return own(host)->log_dir;
}

static void
ask(void *host, const char *command, JsonObject *arguments, QmpReply reply,
    gpointer user_data)
{
    Boot *boot = own(host);
    qmp_send(machine_qmp(boot->machine), command, arguments, reply, user_data);
}

static void
listen(void *host, QmpEvent handler, gpointer user_data)
{
    Boot *boot = own(host);
    machine_set_listener(boot->machine, handler, user_data);
}

static void *
freeze(void **host, GError **error)
{
    return lab_boot_freeze((LabBoot **)host, error);
}

static const char *
obstacle(const void *host)
{
    return ((const LabBoot *)host)->obstacle;
}

static void *
clone_one(const void *template, const char *log_dir, GCancellable *interrupt,
          GError **error)
{
    return lab_template_clone(template, FALSE, log_dir, interrupt, error);
}

static gint64
bytes(const void *template)
{
    return lab_template_used_bytes(template);
}

static void *
branch(const void *template, const char *log_dir, GCancellable *interrupt, GError **error)
{
    return lab_template_clone(template, TRUE, log_dir, interrupt, error);
}

static void
discard(void *template)
{
    lab_template_free(template);
}

/* ---- the store
 * ---------------------------------------------------------------------------------------
 */

static void *
kept_with(const SessionOptions *options, const BootOptions *boot, gpointer trouble)
{
    return lab_template_kept(boot, options->peers, options->manifest, trouble);
}

static char *
kept_as(const LabTemplate *template)
{
    return g_strdup_printf("kept since %s as %.12s", lab_template_kept_since(template),
                           lab_template_key(template));
}

static void *
kept(const SessionOptions *options, char **how, char **trouble)
{
    LabTemplate *template = with_boot_options(options, NULL, kept_with, trouble);
    if (template)
        *how = kept_as(template);
    return template;
}

static gboolean
keep(const SessionOptions *options, void *template, char **how, GError **error)
{
    if (!lab_template_keep(template, options->manifest, error))
        return FALSE;
    *how = g_strdup_printf("kept as %.12s", lab_template_key(template));
    return TRUE;
}

static void
forget(void *template)
{
    lab_template_forget(template);
}

static void *
kept_above(const void *below, const char *const *steps, char **how, char **trouble)
{
    LabTemplate *template = lab_template_kept_above(below, steps, trouble);
    if (template)
        *how = kept_as(template);
    return template;
}

static gboolean
keep_above(void *template, const void *below, const char *const *steps, char **how,
           GError **error)
{
    if (!lab_template_keep_above(template, below, steps, error))
        return FALSE;
    *how = g_strdup_printf("kept as %.12s", lab_template_key(template));
    return TRUE;
}

typedef struct {
    GPtrArray **inputs;
    GError **error;
} KeyCall;

static void *
key_with(const SessionOptions *options, const BootOptions *boot, gpointer user_data)
{
    const KeyCall *call = user_data;
    return lab_template_key_of(boot, options->peers, options->manifest, call->inputs,
                               call->error);
}

char *
session_template_key(const SessionOptions *options, GPtrArray **inputs, GError **error)
{
    KeyCall call = {inputs, error};
    return with_boot_options(options, NULL, key_with, &call);
}

static void *
possible_with(const SessionOptions *options, const BootOptions *boot, gpointer error)
{
    return lab_template_possible(boot, options->peers, error) ? (gpointer)options : NULL;
}

gboolean
session_template_possible(const SessionOptions *options, GError **error)
{
    return with_boot_options(options, options->log_dir, possible_with, error) != NULL;
}

const SessionDriver session_single_driver = {
    .put = put_into,
    .run = run_in,
};

const SessionDriver session_boot_driver = {
    .start = start,
    .stop = stop,
    .retried = retried,
    .accel = accel,
    .observe = observe,
    .put = put,
    .run = run,
    .sound = sound,
    .boot_us = boot_us,
    .starved_us = starved_us,
    .time_out = time_out,
    .captures = captures,
    .run_in_peers = run_in_peers,
    .segments = segments,
    .ask_peer = ask_peer,
    .give_up_peer = give_up_peer,
    .peer_failure = peer_failure,
    .ask = ask,
    .listen = listen,
    .freeze = freeze,
    .obstacle = obstacle,
    .clone = clone_one,
    .discard = discard,
    .bytes = bytes,
    .branch = branch,
    .kept = kept,
    .keep = keep,
    .forget = forget,
    .kept_above = kept_above,
    .keep_above = keep_above,
};
