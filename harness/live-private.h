/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What live-serve.c (the lab), live-host.c, live-emulator.c, live-check.c, live-change.c,
 * live-memory.c, live-surprise.c, live-disk.c, live-link.c, live-power.c, live-save.c,
 * live-warm.c and live-modules.c (its hosts), live-client.c (who is connected),
 * live-request.c and live-work.c (what they ask for) share.
 */
#pragma once

#include "boot.h"
#include "live-dir.h"
#include "live-serve.h"
#include "template.h"
#include "uplink.h"

typedef struct LiveServer LiveServer;
typedef struct LiveSaved LiveSaved; /* live-save.c */

/* A host of the lab that was asked for, now or before. */
typedef struct {
    LiveServer *server;
    const Plan *plan;    /* what it is to be like */
    const Plan *start;   /* the same when it starts */
    Plan *changed;       /* .plan if it is not that any more */
    gboolean plugged;    /* since the firmware saw it last something came */
    GHashTable *deleted; /* set of char *: ids of devices that the emulator has deleted */
    GHashTable *leaving; /* those that the host was asked to give back */
    GHashTable *out;     /* those that were taken out */
    GHashTable *accepted; /* ids of memory that the host's kernel uses */
    GHashTable
        *refused;     /* ids of memory → char *: why it does not take it, or keeps it */
    GHashTable *torn; /* ids of those that left, and it still has → LiveTorn */
    GHashTable *unlinked;    /* set of char *: ids of NICs whose link is down */
    GHashTable *disk_faults; /* ids of disks → DiskFaults (disk-faults.h) */
    GPtrArray *saved;        /* LiveSaved */
    GArray *disk_fds;        /* of the last start, whose power was cut; or NULL */
    LiveHost *told;          /* in the lab's state */
    Boot *boot;              /* NULL: it does not run */
    guint starts;
    char *log_dir;
    gboolean wanted;   /* to be started */
    gboolean was_up;   /* since it was asked for first */
    gboolean standing; /* for us: it is saved or restored, and who asks for it waits */
    gboolean is_clone; /* of a template: it has said hello, and has its addresses */
} Host;

/* Who is connected. */
typedef struct {
    LiveServer *server;
    int fd;
    guint readable, writable; /* sources */
    GByteArray *incoming, *outgoing;
    JsonObject *request; /* NULL: it has not come yet */
    gboolean waits_up, waits_down;
    gboolean traces; /* is told of QMP while it waits */
    Host *console;   /* whose console it has, or NULL */
    gboolean ends;   /* when all is sent */
} Client;

struct LiveServer {
    const LiveServeOptions *options;
    LivePlace *place;
    LiveLab *lab;
    GPtrArray *hosts;   /* Host */
    GPtrArray *clients; /* Client */
    GQueue deferred;    /* Client whose request waits for a host's fate to be known */
    GQueue work;        /* live-work.c */
    guint work_pulse;   /* source, while there is any */
    GCancellable *interrupt;
    Segments *segments; /* the networks between the hosts; NULL: there are none */
    Uplinks *uplinks;   /* what leads out of them; NULL: nothing, or not yet */
    gboolean down;
    gboolean starting;
};

/* ---- live-serve.c */

/* Writes the state down; what fails is told in the log. */
void live_server_write(LiveServer *server);
/* The lab goes down. */
void live_server_down(LiveServer *server);

/* ---- live-host.c */

/* NULL: the lab has none of that name. */
Host *live_host_find(const LiveServer *server, const char *name);
/* Wants all hosts of NAMES (all if empty) that do not run. HB_USAGE: there is no such. */
gboolean live_host_want(LiveServer *server, const char *const *names, GError **error);
gboolean live_host_any_wanted(const LiveServer *server);
/* Starts all that are wanted; those who wait are told. */
void live_host_start_wanted(LiveServer *server);
/* Whether the host has ended, and nobody has looked why. */
gboolean live_host_has_ended(const Host *host);
/* Looks why those have ended that have. */
void live_host_bury(LiveServer *server);
void live_host_stop(Host *host);
/* The same by who wants it: its disk is there when it is started again. */
void live_host_cut(Host *host);
void live_host_drop(Host *host);
/* What HOST (a Host) does, as a BootStep. */
void live_host_step(const char *what, gpointer host);
/* EVENT ("warning", "difference") for the log, and for those who wait for hosts. */
void live_host_warn(Host *host, const char *event, const char *text);

/* The host, whose boot is new, is up: its state, which is to be written, and who listens.
 */
void live_host_came(Host *host);
/* Those that are up hear of those that come. */
gboolean live_host_let_in(const LiveServer *server, GError **error);
/* Whether networks join it with others, or lead out. */
gboolean live_host_is_joined(const Host *host);
/* Whether there is memory for it beside those that run. */
gboolean live_host_check_memory(Host *host, GError **error);
/* The same for BYTES more, of which NAME is told. */
gboolean live_host_check_room(const char *name, gint64 bytes, GError **error);
/* A new folder for the logs of its next start; and what that takes. */
gboolean live_host_make_log_dir(Host *host, GError **error);
BootOptions live_host_boot_options(Host *host);

/* ---- live-network.c */

/* Settles whether the network of ID, a function that is new in PLAN, leads out of the
 * host. HB_UNSUPPORTED: it would have to, and cannot. */
gboolean live_network_find(const Host *host, Plan *plan, const char *id, GError **error);
/* *NETDEV: the end of NIC's network for the emulator to make, owned by the caller; NULL:
 * it has one, or there is no network. */
gboolean live_network_open(Host *host, const PlanFunction *nic, JsonObject **netdev,
                           GError **error);
/* Of one that the emulator did not make. */
void live_network_abandon(Host *host, const PlanFunction *nic);
/* Whether the emulator keeps the end when NIC leaves. */
gboolean live_network_stays(const Host *host, const PlanFunction *nic);
/* What NIC's end led to, once the emulator has no NIC there; what stays loses nothing. */
void live_network_close(const Host *host, const PlanFunction *nic);
/* The same of all ends that the host had not at its start: it begins anew. */
void live_network_forget(const Host *host);

/* ---- live-emulator.c */

/* The same as live_emulator_command() with FD, which stays the caller's, on the way. */
gboolean live_emulator_hand_over(Host *host, const char *name, JsonObject *arguments,
                                 int fd, GError **error);
/* Has the host's emulator do the command NAME with ARGUMENTS (taken; or NULL). */
gboolean live_emulator_command(Host *host, const char *name, JsonObject *arguments,
                               GError **error);
/* The same; what it answers, owned by the caller. */
JsonNode *
live_emulator_ask(Host *host, const char *name, JsonObject *arguments, GError **error);

/* Whether it has a device of this id. */
gboolean live_emulator_has(Host *host, const char *id);
/* HB_USAGE: it has, though the lab has none. */
gboolean live_emulator_is_free(Host *host, const char *id, GError **error);

typedef enum {
    LIVE_WAIT_MET,
    LIVE_WAIT_LATE,
    LIVE_WAIT_ENDED, /* the host has */
} LiveWait;

typedef gboolean (*LiveCondition)(const Host *host, const char *id);
/* Turns the main loop until IS_MET(HOST, ID), LIMIT_MS have passed or the host has ended;
 * IS_MET may be NULL: one of the other two. */
LiveWait
live_emulator_wait(Host *host, guint limit_ms, LiveCondition is_met, const char *id);

/* ---- live-warm.c */

/* Of HOSTS (Host), which are to be started, those that networks join run afterwards, if
 * they can all be clones of a template that is kept; else none of them. */
gboolean live_warm_joined(LiveServer *server, const GPtrArray *hosts, GError **error);

/* ---- live-check.c */

/* Looks what the host, which is up, is like: GPtrArray of CaseResult. */
GPtrArray *live_host_compare(Host *host, GError **error);
/* The same at its start; HB_FAIL: it differs, and all that was told. */
gboolean live_host_check(Host *host, GError **error);

/* The same as live_host_compare(), but what the host needs some time to see it gets. */
GPtrArray *live_check_until_same(Host *host, GError **error);
/* {"results": …}, owned by the caller. */
JsonObject *live_check_answer(const GPtrArray *results);

/* ---- live-change.c: as in live-work.c */

JsonObject *live_change_plug(Host *host, JsonObject *request, GError **error);
JsonObject *live_change_unplug(Host *host, JsonObject *request, GError **error);
/* The host's part of the lab as it is now. */
LabHost *live_change_lab(const Host *host);
/* The host as the lab has it now, which differs by what is called ID. */
Plan *live_change_plan(const Host *host, const char *id, GError **error);
/* Takes PLAN, which the host is to be like from now on. */
void live_change_set_plan(Host *host, Plan *plan);
/* Before anything is asked of the host's plan. */
void live_change_settle(Host *host);
/* It ends: the next start will be as the lab is written. */
void live_change_forget(Host *host);
void live_change_event(Host *host, const char *event, JsonObject *data);

/* ---- live-memory.c: the same of memory; WORDS are those of the request */

JsonObject *live_memory_plug(Host *host, const char *const *words, JsonObject *request,
                             GError **error);
/* NAME is memory that the host has. */
JsonObject *live_memory_unplug(Host *host, const char *name, GError **error);
/* The same without looking what the host is like then. */
gboolean live_memory_out(Host *host, const char *id, GError **error);
void live_memory_event(Host *host, const char *event, JsonObject *data);

/* ---- live-surprise.c */

/* Where a function was that left without the host's being asked. */
typedef struct {
    char port[PCI_ADDRESS_SIZE], function[PCI_ADDRESS_SIZE];
    gboolean untold; /* and the host's kernel was not told */
} LiveTorn;

/* FUNCTION vanishes from its port, and is in .torn from then on; the host's kernel learns
 * of it unless it is to be UNTOLD. */
gboolean live_surprise_tear_out(Host *host, const PlanFunction *function, gboolean untold,
                                GError **error);
/* Until the host's kernel, which is told now if it was not before, has given up what was
 * ID, if that was torn out. HB_TIMEOUT: it has not. */
gboolean live_surprise_await(Host *host, const char *id, GError **error);
/* Addresses of the ports that lost a function of which the host was not told; and of
 * those whose function it still has, as it says. Owned by the caller. */
GStrv live_surprise_untold_ports(const Host *host);
GStrv live_surprise_kept_ports(Host *host);
/* HB_USAGE: the host still has what was called ID when it was torn out. */
gboolean live_surprise_name_is_free(Host *host, const char *id, GError **error);
/* The same, or what was torn out of PORT; ID may be NULL. */
gboolean live_surprise_port_is_empty(Host *host, const PlanFunction *port, const char *id,
                                     GError **error);

/* ---- live-link.c: as in live-work.c */

JsonObject *live_link(Host *host, JsonObject *request, GError **error);
/* The link of the NIC ID goes up or down. */
gboolean live_link_set(Host *host, const char *id, gboolean up, GError **error);

/* ---- live-disk.c: as in live-work.c */

JsonObject *live_disk(Host *host, JsonObject *request, GError **error);
/* HB_FAIL: a request of the disk ID (NULL: of any) stands still or will. */
gboolean live_disk_flows(const Host *host, const char *id, GError **error);
/* The disk ID, if it is one, has no faults any more. HB_FAIL: as above. */
gboolean live_disk_mend(Host *host, const char *id, GError **error);

/* ---- live-save.c: as in live-work.c */

JsonObject *live_save(Host *host, JsonObject *request, GError **error);
JsonObject *live_restore(Host *host, JsonObject *request, GError **error);
JsonObject *live_saved_list(Host *host, JsonObject *request, GError **error);
JsonObject *live_saved_remove(Host *host, JsonObject *request, GError **error);
void live_saved_free(LiveSaved *saved);

/* ---- live-power.c: as in live-work.c */

/* Afterwards the host may be wanted: who asked waits until it is up. */
JsonObject *live_power(Host *host, JsonObject *request, GError **error);

JsonObject *live_power_pause(Host *host, JsonObject *request, GError **error);
JsonObject *live_power_resume(Host *host, JsonObject *request, GError **error);
JsonObject *live_power_nmi(Host *host, JsonObject *request, GError **error);
void live_power_event(Host *host, const char *event);

/* ---- live-modules.c */

/* Has the host load the drivers that PLAN, which is to be its next, has more. */
gboolean live_modules_load(Host *host, const Plan *plan, GError **error);

/* ---- live-work.c */

/* What CLIENT asks for takes a while or changes HOST: it is done when all that was asked
 * for before is. */
void live_work_add(Client *client, Host *host);
gboolean live_work_waits(const LiveServer *server);
/* Does the first, and answers. */
void live_work_do(LiveServer *server);
/* CLIENT leaves: what was not begun is not done for it. */
void live_work_forget(Client *client);
/* Those who wait, for hosts or for what is done, hear every LIVE_PULSE_S seconds that we
 * live: by this function of a source, whose data is the LiveServer. */
#define LIVE_PULSE_S 5
gboolean live_work_pulse(gpointer server);
/* Nothing is done any more; those who wait are told. */
void live_work_clear(LiveServer *server, const GError *error);

/* ---- live-client.c */

/* Takes FD. */
Client *live_client_new(LiveServer *server, int fd);
void live_client_free(Client *client);
/* Sends OBJECT (taken). */
void live_client_send(Client *client, JsonObject *object);
void live_client_event(Client *client, const char *event, const char *text);
void live_client_answer(Client *client, JsonObject *answer);
void live_client_fail(Client *client, const GError *error);
/* When all is sent the connection ends, as after the last two. */
void live_client_end(Client *client);
/* Bytes of the console. */
void live_client_write(Client *client, const void *bytes, gsize length);
/* To all that wait for hosts to come up. */
void live_client_tell(LiveServer *server, const char *event, const char *text);
/* To those clients that want to see QMP; a QmpTraceLine, USER_DATA is the LiveServer. */
void live_client_trace(const char *line, gpointer user_data);
/* Its descriptor, which it has no more. */
int live_client_steal(Client *client);

/* ---- live-request.c */

/* The strings of the array MEMBER, owned by the caller. */
GStrv live_request_strings(JsonObject *request, const char *member);
/* CLIENT's request has come. */
void live_request(Client *client);
/* Those that waited for a host's fate. */
void live_request_deferred(LiveServer *server);
/* Why HOST (or NULL) of this NAME cannot be asked for REQUEST (NULL: for anything that
 * needs the guest) now; NULL: it can. Owned by the caller. */
GError *live_request_obstacle(const char *name, const Host *host, const char *request);
/* What HOST's console prints goes to those who have it. */
void live_request_listen(Host *host);
