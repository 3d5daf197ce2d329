/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A host that libvirt starts. hostbed starts this program in the emulator's place and
 * with the emulator's descriptors: to hostbed it is the emulator. It gives the domain to
 * libvirt, hands on what the agent, the console and QMP say by libvirt's connection, so
 * that they work on another machine, too, and ends when the domain does. The domain ends
 * with the connection, and so with this program, however that ends.
 *
 * Started without arguments it is a servant (servant.h), which is asked for the text of a
 * domain.
 */
#include <errno.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "domain-define.h"
#include "domain-describe.h"
#include "domain-elsewhere.h"
#include "domain-place.h"
#include "domain-port.h"
#include "domain-pump.h"
#include "domain-qmp.h"
#include "domain-store.h"
#include "error.h"
#include "json-line.h"
#include "wire.h"

#define COMMAND_MAX (16 * 1024 * 1024)
/* For what the domain said last to arrive. */
#define DRAIN_MS 1000
/* Of a connection that says nothing; three times. */
#define KEEPALIVE_S 5
/* To have the next libvirt end a domain. */
#define END_TRIES 30
#define END_AFTER_US 100000

typedef struct {
    char *uri;
    gboolean persistent; /* it stays defined */
    char *to_keep;       /* the domain, until it is defined; or NULL */
    gboolean is_own;     /* the libvirt is the user's, on this machine */
    int xml_fd, qmp_fd, agent_fd, console_fd;
    char **port_fds;
    virConnectPtr connection;
    virDomainPtr domain; /* NULL: it is not there yet, or not any more */
    DomainStore *store;  /* while the domain is started, of a libvirt elsewhere */
    char *name;
    unsigned char uuid[VIR_UUID_BUFLEN];
    Pump *agent, *console;
    GPtrArray *ports;  /* of domain-port.h */
    GByteArray *asked; /* the beginning of a line of QMP */
    int ending;        /* timer, or -1 */
    gboolean ended;
    HbStatus status;
    char *why; /* one sentence for STATUS, or NULL */
} Session;

/* ---- the end
 * ---------------------------------------------------------------------------------- */

static void
fail(Session *session, HbStatus status, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* The first reason stays. */
static void
fail(Session *session, HbStatus status, const char *format, ...)
{
    va_list arguments;
    if (session->why)
        return;
    va_start(arguments, format);
    session->why = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    session->status = status;
}

static void
on_drained(int timer, void *opaque)
{
    Session *session = opaque;
    session->ended = TRUE;
}

/* The domain is gone; what it said is still on its way. */
static void
begin_end(Session *session)
{
    if (session->ending < 0)
        session->ending = virEventAddTimeout(DRAIN_MS, on_drained, session, NULL);
    if (session->ending < 0)
        session->ended = TRUE;
}

static int
on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail,
             void *opaque)
{
    Session *session = opaque;
    if (event == VIR_DOMAIN_EVENT_STOPPED && detail == VIR_DOMAIN_EVENT_STOPPED_FAILED)
        fail(session, HB_EMULATOR_DIED,
             "libvirt says that the emulator of domain %s has failed", session->name);
    else if (event == VIR_DOMAIN_EVENT_STOPPED &&
             detail == VIR_DOMAIN_EVENT_STOPPED_DESTROYED)
        fail(session, HB_EMULATOR_DIED, "domain %s was destroyed", session->name);
    if (event == VIR_DOMAIN_EVENT_STOPPED || event == VIR_DOMAIN_EVENT_CRASHED)
        begin_end(session);
    return 0;
}

/* NULL: the domain has ended; else why not, owned by the caller. */
static char *
try_to_end_domain(const Session *session)
{
    virConnectPtr anew = virConnectOpen(session->uri);
    virDomainPtr domain = anew ? virDomainLookupByUUID(anew, session->uuid) : NULL;
    gboolean is_gone = domain && virDomainDestroy(domain) == 0;
    int code = virGetLastErrorCode();
    /* Between the two calls it can go. */
    if (code == VIR_ERR_NO_DOMAIN || (domain && code == VIR_ERR_OPERATION_INVALID))
        is_gone = TRUE;
    char *why = is_gone ? NULL : g_strdup(virGetLastErrorMessage());
    if (domain)
        virDomainFree(domain);
    if (anew)
        virConnectClose(anew);
    return why;
}

/* The emulator outlives a libvirt that was killed. The next one knows it, and ends it, by
 * itself or since it is asked to; but one that dies may still take the connection, and
 * drop it. As above. */
static char *
end_domain_anew(const Session *session)
{
    char *why = try_to_end_domain(session);
    for (int i = 1; why && i < END_TRIES; i++) {
        g_free(why);
        g_usleep(END_AFTER_US);
        why = try_to_end_domain(session);
    }
    return why;
}

static void
on_closed(virConnectPtr connection, int reason, void *opaque)
{
    Session *session = opaque;
    const char *why = reason == VIR_CONNECT_CLOSE_REASON_KEEPALIVE ? "it does not answer"
                                                                   : "it has ended";
    g_autofree char *left = end_domain_anew(session);
    if (!left)
        fail(session, HB_INFRASTRUCTURE, "the connection to libvirt at %s was lost: %s",
             session->uri, why);
    else
        fail(session, HB_INFRASTRUCTURE,
             "the connection to libvirt at %s was lost: %s; domain %s may run on there, "
             "since it cannot be ended: %s",
             session->uri, why, session->name, left);
    session->ended = TRUE;
}

/* hostbed wants the host to end. */
static void
on_signal(int watch, int fd, int events, void *opaque)
{
    Session *session = opaque;
    session->ended = TRUE;
}

/* ---- QMP
 * --------------------------------------------------------------------------------------
 */

static void
say(const Session *session, const char *line)
{
    for (gsize done = 0, length = strlen(line); done < length;) {
        ssize_t n = send(session->qmp_fd, line + done, length - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return; /* hostbed is gone, and so will be we */
        done += n > 0 ? (gsize)n : 0;
    }
}

static void
take_command(const char *line, gpointer user_data)
{
    Session *session = user_data;
    g_autoptr(JsonNode) id = NULL;
    g_autofree char *reply = NULL;
    g_autofree char *command = domain_qmp_command(line, &id, &reply);
    char *result = NULL;
    if (command && session->domain &&
        virDomainQemuMonitorCommand(session->domain, command, &result, 0) == 0)
        reply = domain_qmp_reply(result, id);
    else if (command)
        reply = domain_qmp_refusal(virGetLastErrorMessage(), id);
    free(result);
    say(session, reply);
}

static void
on_command(int watch, int fd, int events, void *opaque)
{
    Session *session = opaque;
    if (json_line_read(fd, session->asked, COMMAND_MAX, take_command, session) ==
        JSON_LINES_GO_ON)
        return;
    virEventRemoveHandle(watch);
    session->ended = TRUE;
}

static void
on_event(virConnectPtr connection, virDomainPtr domain, const char *event,
         long long seconds, unsigned int microseconds, const char *details, void *opaque)
{
    g_autofree char *line = domain_qmp_event(event, seconds, microseconds, details);
    say(opaque, line);
}

/* ---- the start
 * -------------------------------------------------------------------------------- */

static char *
read_all(int fd)
{
    g_autoptr(GString) text = g_string_new(NULL);
    char bytes[65536];
    ssize_t n;
    lseek(fd, 0, SEEK_SET);
    while ((n = read(fd, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            g_string_append_len(text, bytes, n);
    return n == 0 ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

static gboolean
refuse(Session *session, HbStatus status, const char *what)
{
    const char *reason = virGetLastErrorMessage();
    fail(session, status, "%s: %s", what, reason);
    return FALSE;
}

/* Of libvirt within this process nobody would be left to end the domains. */
static gboolean
is_embedded(const char *address)
{
    g_autoptr(GUri) uri = g_uri_parse(address, G_URI_FLAGS_NONE, NULL);
    return uri && g_str_equal(g_uri_get_path(uri), "/embed");
}

static gboolean
connect_to_libvirt(Session *session)
{
    if (is_embedded(session->uri)) {
        fail(session, HB_UNSUPPORTED,
             "libvirt at %s is this program's own, and ends with it, but its domains do "
             "not; name one that is a process, such as qemu:///session",
             session->uri);
        return FALSE;
    }
    g_autofree char *what =
        g_strdup_printf("libvirt at %s cannot be reached", session->uri);
    session->connection = virConnectOpen(session->uri);
    if (!session->connection && geteuid() == 0 && strstr(session->uri, "///session")) {
        fail(session, HB_INFRASTRUCTURE,
             "%s: %s; root's session is the machine's own libvirt, and other users have "
             "one each",
             what, virGetLastErrorMessage());
        return FALSE;
    }
    if (!session->connection)
        return refuse(session, HB_INFRASTRUCTURE, what);
    const char *type = virConnectGetType(session->connection);
    if (g_strcmp0(type, "QEMU") != 0) {
        fail(session, HB_UNSUPPORTED,
             "libvirt at %s starts no emulators (its driver is %s); name one whose "
             "driver is QEMU, such as qemu:///session",
             session->uri, type ? type : "unknown");
        return FALSE;
    }
    /* Not every transport has it. */
    virConnectSetKeepAlive(session->connection, KEEPALIVE_S, 3);
    return virConnectRegisterCloseCallback(session->connection, on_closed, session,
                                           NULL) == 0 ||
           refuse(session, HB_INFRASTRUCTURE, what);
}

/* What an error of libvirt's about a domain means to hostbed. */
static HbStatus
status_of_error(void)
{
    const virError *error = virGetLastError();
    if (!error)
        return HB_INFRASTRUCTURE;
    if (error->code == VIR_ERR_CONFIG_UNSUPPORTED || error->code == VIR_ERR_XML_ERROR)
        return HB_UNSUPPORTED;
    return error->message && strstr(error->message, "process exited") ? HB_EMULATOR_DIED
                                                                      : HB_INFRASTRUCTURE;
}

/* What an emulator of the same user opens, as long as we have it, though it may have no
 * name: nothing is left of it, whoever dies. */
static char *
name_for_own(const char *file, gboolean is_written, gpointer user_data, GError **error)
{
    int fd = domain_place_fd(file);
    return fd < 0 ? g_strdup(file) : g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), fd);
}

/* The domain as this libvirt starts it. */
static char *
read_domain(Session *session)
{
    g_autofree char *xml = read_all(session->xml_fd);
    if (!xml) {
        fail(session, HB_USAGE, "there is no domain in descriptor %d", session->xml_fd);
        return NULL;
    }
    /* Which may have been called by another name. */
    char *uri = virConnectGetURI(session->connection);
    session->is_own = uri && domain_place_is_own(uri);
    free(uri);
    g_autoptr(GError) error = NULL;
    char *placed = session->is_own ? domain_place_files(xml, name_for_own, NULL, &error)
                                   : domain_elsewhere(session->connection, xml,
                                                      &session->store, &error);
    if (!placed)
        fail(session, hb_error_status(error), "libvirt at %s: %s", session->uri,
             error->message);
    return placed;
}

/* Why no domain was started, which libvirt has just said. */
static void
tell_not_started(Session *session, const char *xml)
{
    const HbStatus status = status_of_error();
    const int code = virGetLastErrorCode();
    /* What libvirt says of a name that is taken, among other things. */
    const gboolean may_be_taken =
        code == VIR_ERR_OPERATION_FAILED || code == VIR_ERR_OPERATION_INVALID;
    g_autofree char *reason = g_strdup(virGetLastErrorMessage());
    g_autoptr(DomainNeeds) needs = may_be_taken ? domain_needs_new(xml, NULL) : NULL;
    virDomainPtr other =
        needs ? virDomainLookupByName(session->connection, needs->name) : NULL;
    const gboolean is_taken = other && !domain_is_kept(other);
    g_autofree char *uri = g_shell_quote(session->uri);
    if (!is_taken) {
        fail(session, status, "libvirt does not start the domain: %s", reason);
    } else {
        fail(session, HB_INFRASTRUCTURE,
             "libvirt at %s has a domain %s already, which is not this start's; end it "
             "(virsh -c %s destroy %s) and remove its definition (undefine), or give the "
             "lab another name",
             session->uri, needs->name, uri, needs->name);
    }
    if (other)
        virDomainFree(other);
}

static gboolean
create_domain(Session *session)
{
    g_autofree char *xml = read_domain(session);
    if (!xml)
        return FALSE;
    /* Paused, so that no word of its console is lost. */
    session->domain =
        domain_start(session->connection, xml, session->persistent,
                     VIR_DOMAIN_START_AUTODESTROY | VIR_DOMAIN_START_PAUSED);
    if (!session->domain) {
        tell_not_started(session, xml);
        return FALSE;
    }
    /* The emulator has its disk open. */
    g_clear_pointer(&session->store, domain_store_free);
    if (session->is_own && !session->persistent)
        domain_forget_nvram(session->domain);
    if (session->persistent)
        session->to_keep = g_steal_pointer(&xml);
    session->name = g_strdup(virDomainGetName(session->domain));
    return virDomainGetUUID(session->domain, session->uuid) == 0;
}

static gboolean
watch_domain(Session *session)
{
    if (virConnectDomainEventRegisterAny(
            session->connection, session->domain, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
            VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), session, NULL) >= 0 &&
        virConnectDomainQemuMonitorEventRegister(session->connection, session->domain,
                                                 NULL, on_event, session, NULL, 0) >= 0)
        return TRUE;
    return refuse(session, HB_INFRASTRUCTURE, "libvirt does not tell of the domain");
}

static gboolean
open_streams(Session *session)
{
    virStreamPtr agent = virStreamNew(session->connection, VIR_STREAM_NONBLOCK);
    if (agent && virDomainOpenChannel(session->domain, HB_WIRE_PORT, agent, 0) == 0)
        session->agent = pump_new(agent, session->agent_fd);
    if (!session->agent)
        return refuse(session, HB_INFRASTRUCTURE,
                      "libvirt does not open the agent's channel");
    virStreamPtr console = virStreamNew(session->connection, VIR_STREAM_NONBLOCK);
    if (console && virDomainOpenConsole(session->domain, NULL, console,
                                        VIR_DOMAIN_CONSOLE_FORCE) == 0)
        session->console = pump_new(console, session->console_fd);
    return session->console != NULL ||
           refuse(session, HB_INFRASTRUCTURE, "libvirt does not open the console");
}

/* No filter of an emulator's that is well says so, whatever its guest does. */
static void
on_broken(gpointer user_data)
{
    Session *session = user_data;
    fail(session, HB_EMULATOR_DIED,
         "the emulator of domain %s sent to a network what is no frame", session->name);
    session->ended = TRUE;
}

static gboolean
open_ports(Session *session)
{
    session->ports =
        domain_ports_open(session->connection, session->domain,
                          (const char *const *)session->port_fds, on_broken, session);
    return session->ports || refuse(session, HB_INFRASTRUCTURE,
                                    "libvirt does not open the channels of the networks");
}

static gboolean
let_go(Session *session)
{
    g_autofree char *greeting = domain_qmp_greeting();
    if (virDomainResume(session->domain) != 0)
        return refuse(session, HB_INFRASTRUCTURE, "libvirt does not start the host");
    say(session, greeting);
    return virEventAddHandle(session->qmp_fd, VIR_EVENT_HANDLE_READABLE, on_command,
                             session, NULL) >= 0;
}

/* One that never came up is not kept. */
static gboolean
keep(Session *session)
{
    if (!session->to_keep || !pump_has_begun(session->agent))
        return TRUE;
    if (!domain_keep(session->domain, session->to_keep))
        return refuse(session, HB_INFRASTRUCTURE, "libvirt does not keep the domain");
    g_clear_pointer(&session->to_keep, g_free);
    return TRUE;
}

/* ---- the whole
 * -------------------------------------------------------------------------------- */

static void
run(Session *session)
{
    if (!connect_to_libvirt(session) || !create_domain(session) ||
        !watch_domain(session) || !open_streams(session) || !open_ports(session) ||
        !let_go(session))
        return;
    while (!session->ended) {
        if (virEventRunDefaultImpl() < 0 || !keep(session))
            return;
        if (session->ending >= 0 && pump_ended(session->agent) &&
            pump_ended(session->console))
            return;
    }
}

static void
session_end(Session *session)
{
    pump_free(session->agent);
    pump_free(session->console);
    g_clear_pointer(&session->ports, g_ptr_array_unref);
    domain_store_free(session->store);
    if (session->domain) {
        virDomainDestroy(session->domain); /* unless it is gone */
        virDomainFree(session->domain);
    }
    if (session->connection)
        virConnectClose(session->connection);
    g_byte_array_unref(session->asked);
    g_strfreev(session->port_fds);
    g_free(session->uri);
    g_free(session->to_keep);
    g_free(session->name);
    g_free(session->why);
}

/* ---- the program
 * ------------------------------------------------------------------------------ */

/* libvirt prints its errors otherwise; ours have them. */
static void
on_error(void *opaque, virErrorPtr error)
{
}

/* Only what libvirt's event loop hears of ends us, once there is one. */
static int
open_signals(void)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    return signalfd(-1, &ends, SFD_CLOEXEC);
}

int
main(int argc, char **argv)
{
    Session session = {.xml_fd = -1,
                       .qmp_fd = -1,
                       .agent_fd = -1,
                       .console_fd = -1,
                       .ending = -1,
                       .asked = g_byte_array_new()};
    const GOptionEntry entries[] = {
        {"connect", 0, 0, G_OPTION_ARG_STRING, &session.uri, "libvirt's address", "URI"},
        {"persistent", 0, 0, G_OPTION_ARG_NONE, &session.persistent,
         "It stays defined after its end", NULL},
        {"xml-fd", 0, 0, G_OPTION_ARG_INT, &session.xml_fd, "The domain", "FD"},
        {"qmp-fd", 0, 0, G_OPTION_ARG_INT, &session.qmp_fd, "QMP", "FD"},
        {"agent-fd", 0, 0, G_OPTION_ARG_INT, &session.agent_fd, "The agent", "FD"},
        {"console-fd", 0, 0, G_OPTION_ARG_INT, &session.console_fd, "The console", "FD"},
        {"port-fd", 0, 0, G_OPTION_ARG_STRING_ARRAY, &session.port_fds,
         "A NIC's end of a network that joins hosts", "FD"},
        G_OPTION_ENTRY_NULL,
    };
    virSetErrorFunc(NULL, on_error);
    if (argc == 1)
        return servant_side_run(domain_describe);
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || !session.uri) {
        fprintf(stderr, "this program is started by hostbed: %s\n",
                error ? error->message : "--connect is missing");
        return HB_USAGE;
    }
    int signals = open_signals();
    if (virInitialize() == 0 && virEventRegisterDefaultImpl() == 0 &&
        virEventAddHandle(signals, VIR_EVENT_HANDLE_READABLE, on_signal, &session,
                          NULL) >= 0)
        run(&session);
    else
        refuse(&session, HB_INFRASTRUCTURE, "libvirt's library does not start");
    HbStatus status = session.status;
    if (session.why)
        fprintf(stderr, "%s\n", session.why);
    session_end(&session);
    return (int)status;
}
