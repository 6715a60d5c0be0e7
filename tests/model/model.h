/* SPDX-License-Identifier: MIT */
/* model.h - programs, the server they share, and what both have promised.
 *
 * Real clients (lib/client) and a real server (lib/server with all its workers), one
 * thread, one clock that stands still until the next thing is due. Programs do at
 * random what programs do; connections break, processes die. What a program is told is
 * looked at there and then (member.c), and what must be true in the end when all is
 * quiet (promises.c). A run that fails prints its seed and its story. */
#ifndef TESTS_MODEL_MODEL_H
#define TESTS_MODEL_MODEL_H

#include <yomo/client.h>

#include "wire.h"

#define ROOMS 2
#define MEMBERS_MAX 24
#define SAID_MAX 4096

struct model;

/* One message of a program. */
struct said {
    uint32_t author, room, serial;
    int32_t delivery;
    int32_t only;     /* the member that it is for; -1: all others */
    bool value;       /* no message: the shared value is to be one more */
    uint32_t crashes; /* of the server, until then */
    uint64_t number;  /* of on_sent */
    uint64_t event;   /* when */
    bool answered;
    int32_t outcome;
    uint32_t heard; /* bit for each member */
};

/* What one program has seen of another's session. */
struct seen {
    uint64_t session;
    char id[16], state[64];
    bool stale;
};

/* A program in a room. */
struct seat {
    yomo_room *room;              /* NULL: it does not want to be there */
    bool joined;                  /* on_joined has come; breaks do not end it */
    uint64_t event;               /* when, for the first time */
    uint64_t gap;                 /* when the program was last told of one; 0: never */
    uint32_t state;               /* the number that its state has */
    uint32_t last[MEMBERS_MAX];   /* serial of the last RELIABLE message of each */
    uint32_t latest[MEMBERS_MAX]; /* and of the last LATEST value */
    uint32_t mine;                /* its own last LATEST value */
    uint64_t version;             /* of the shared value, as the program was told ... */
    uint32_t crashes;             /* ... after so many of the server's ends */
    struct seen seen[MEMBERS_MAX * 4];
    size_t seen_count;
};

struct member {
    struct model *model;
    uint32_t index;
    char id[16];
    yomo_client *client;
    enum yomo_transport_kind kind;
    bool dead;        /* its process is gone: what the client says is heard by nobody */
    bool closed;      /* on_closed has come */
    int32_t state;    /* yomo_client_state */
    uint64_t session; /* at the last on_status OPEN ... */
    uint64_t session_event; /* ... and since when */
    uint32_t resumed;       /* times that a session went on */
    struct seat seats[ROOMS];
};

struct model {
    uint64_t seed, event;
    struct rig rig;
    struct net net;
    uint32_t workers, crashes;
    bool down;
    const char *settings[16];
    struct member *members[MEMBERS_MAX];
    uint32_t member_count;
    struct said said[SAID_MAX];
    uint32_t said_count;
    uint32_t gaps;    /* how often programs were told of one */
    char *story[512]; /* a ring */
    uint64_t lines;
};

void model_tell(struct model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void model_fail(struct model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Let time pass, with all that falls due. */
void model_pass(struct model *model, yo_time span);

/* member.c */
struct member *member_create(struct model *model, enum yomo_transport_kind kind);
void member_free(struct member *member);
bool member_turn(struct member *member);
yo_time member_due(const struct member *member);
struct wire *member_wire(const struct member *member); /* NULL: none that stands */
void member_join(struct member *member, uint32_t room);
void member_leave(struct member *member, uint32_t room);
void member_say(struct member *member, uint32_t room, int32_t delivery, int32_t only);
void member_set_state(struct member *member, uint32_t room);
void member_increment(struct member *member, uint32_t room);
/* What it sees of the shared value; false: there is none. */
bool member_sees_value(const struct member *member, uint32_t room, uint32_t *number,
                       uint64_t *version);
void member_die(struct member *member, yo_time server_at);

/* promises.c: all is quiet. */
void promises_check(struct model *model);

#endif
