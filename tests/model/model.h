/* SPDX-License-Identifier: MIT */
/* model.h - programs, the server they share, and what both have promised.
 *
 * Real clients (lib/client) and a real server (lib/server with all its workers), one
 * thread, one clock that stands still until the next thing is due. Programs do at
 * random what programs do; connections break, processes die. What a program is told is
 * looked at there and then, and what must be true in the end when all is quiet
 * (promises.c). A run that fails prints its seed and its story.
 *
 * One file, one promise: say.c has messages, history.c what was said before, requests.c
 * questions, values.c what a room shares, locks.c locks, users.c persons, member.c the
 * program around a client and who it sees. */
#ifndef TESTS_MODEL_MODEL_H
#define TESTS_MODEL_MODEL_H

#include <yomo/client.h>

#include "support/fault.h"
#include "wire.h"

#define ROOMS 2
#define MEMBERS_MAX 24
#define SAID_MAX 4096
#define GAPS_MAX 64
#define RANKS 3 /* priorities */
#define QUESTIONS_MAX 512
#define LATER_MAX 32 /* questions that will be answered */

struct model;

enum what { SAID_MESSAGE, SAID_VALUE, SAID_LOCK };

/* One wish of a program, of which on_sent tells: a message, that the shared value be
 * one more, a lock. */
struct said {
    enum what what;
    uint32_t author, room, serial;
    int32_t delivery, priority;
    int32_t only;     /* the member whose id it is for; -1: all others */
    uint32_t crashes; /* of the server, until then */
    uint64_t number;  /* of on_sent */
    uint64_t event;   /* when, by steps of the run ... */
    yo_time at, ttl;  /* ... and by the clock; 0: no end */
    bool answered;
    int32_t outcome;
    uint64_t place, order; /* as who heard it was told; 0: nobody was */
    uint32_t heard;        /* bit for each member */
    uint32_t calm, same; /* bit for each member: the way to it has been undisturbed; its
                            session and the author's are still the ones they were */
};

/* What who is asked does with a question. */
enum answer { ANSWER_YES, ANSWER_NO, ANSWER_LATER, ANSWER_NEVER, ANSWERS };

struct question {
    struct model *model;
    uint32_t number, asker, asked, room;
    uint64_t session; /* of who is asked; 0: any device */
    yo_time at, timeout;
    enum answer manner;
    uint32_t heard; /* bit for each member */
    bool answered;  /* by somebody */
    bool over;      /* its asker knows what became of it */
    bool calm;      /* nothing has stood in the way */
};

struct later {
    struct question *question;
    yomo_request *request;
    const struct member *member;
    yo_time due;
};

/* The last holder's. */
struct lock {
    uint64_t version;
    uint32_t crashes;
};

/* What one program has seen of another's session. */
struct seen {
    uint64_t session;
    char id[16], state[64];
    bool stale;
};

/* Places that a program was told are missing. */
struct missing {
    uint64_t first, last, order, event;
};

/* A program in a room. */
struct seat {
    yomo_room *room; /* NULL: it does not want to be there */
    bool joined;     /* on_joined has come; breaks do not end it */
    yo_time joined_at;
    bool away;      /* until it is joined anew by another session */
    uint64_t event; /* when, for the first time */
    struct missing gaps[GAPS_MAX];
    size_t gap_count;
    uint32_t state;                    /* the number that its state has */
    uint32_t last[MEMBERS_MAX][RANKS]; /* serial of the last RELIABLE message of each */
    uint64_t place[RANKS], order;      /* of the last one of all */
    uint32_t latest[MEMBERS_MAX];      /* serial of the last LATEST value of each */
    uint32_t mine;                     /* its own last serial */
    uint64_t version; /* of the shared value, as the program was told ... */
    uint32_t crashes; /* ... after so many of the server's ends */
    bool observe;     /* it has no seat there */
    uint64_t pace_ms; /* of LATEST values */
    yo_time latest_at[MEMBERS_MAX]; /* when one of each came last */
    bool holds;                     /* the lock ... */
    uint32_t holds_crashes;         /* ... after so many of the server's ends */
    uint64_t told, told_order;      /* its position when it left */
    uint64_t since, since_order;    /* it was joined with that; 0: it was not */
    uint32_t last_max, last_count;  /* it was joined with the last so many; were told */
    uint64_t last_place;            /* of these */
    bool heard_now;                 /* something that is not of the past */
    bool urgent_now;                /* the same, and urgent, since it is there */
    uint64_t asked, asked_before;   /* number and bounds of its last question for */
    uint32_t asked_max;             /* ... what was said before */
    char users[MEMBERS_MAX][16];    /* persons who are there */
    size_t user_count;
    struct seen seen[MEMBERS_MAX * 4];
    size_t seen_count;
};

struct member {
    struct model *model;
    uint32_t index;
    char name[16], id[16]; /* in the story; as a user, who may have other devices */
    yomo_client *client;
    enum yomo_transport_kind kind; /* NONE: whichever goes */
    bool narrow;                   /* its access carries little ... */
    bool udp_blocked;              /* ... and at times no UDP */
    bool dead;     /* its process is gone: what the client says is heard by nobody */
    bool closed;   /* on_closed has come */
    bool troubled; /* what is said to it or by it may not go through at once */
    int32_t state; /* yomo_client_state */
    int32_t transport;      /* at the last on_status OPEN ... */
    uint64_t session;       /* ... with this session ... */
    uint64_t session_event; /* ... and since when */
    bool was_resumed;       /* it went on then */
    yo_time open_at;        /* when that was */
    uint32_t resumed;       /* times that a session went on */
    struct seat seats[ROOMS];
};

struct tally {
    uint64_t said, heard, resumed, moved, gaps, crashes, faults, expired, replies,
        locks;
};

struct model {
    uint64_t seed, event;
    struct rig rig;
    struct net net;
    uint32_t workers, crashes;
    bool down;
    bool log_small; /* resume-log */
    bool faulty;    /* now and then an allocation of a client or of the server fails */
    struct fault fault;
    bool ranks; /* not all that is said has the same priority */
    const char *settings[32];
    struct member *members[MEMBERS_MAX];
    uint32_t member_count;
    struct said said[SAID_MAX];
    uint32_t said_count;
    struct question questions[QUESTIONS_MAX];
    uint32_t question_count;
    struct later later[LATER_MAX];
    size_t later_count;
    struct lock locks[ROOMS];
    struct tally tally;
    char *story[512]; /* a ring */
    uint64_t lines;
};

void model_tell(struct model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void model_fail(struct model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Let time pass, with all that falls due. */
void model_pass(struct model *model, yo_time span);

/* Somebody who lives; NULL: nobody does. */
struct member *model_anybody(struct model *model);

/* member.c */
void member_disturbed(struct member *member); /* something comes in the way of it */
struct member *member_create(struct model *model, enum yomo_transport_kind kind);
void member_free(struct member *member);
bool member_turn(struct member *member);
yo_time member_due(const struct member *member);
struct wire *member_wire(const struct member *member); /* NULL: none that stands */
void member_join(struct member *member, uint32_t room);
void member_leave(struct member *member, uint32_t room);
void member_set_state(struct member *member, uint32_t room);
void member_die(struct member *member, yo_time server_at);
uint32_t room_of(const yomo_room *room);
const char *room_name(uint32_t room);
bool member_is_there(const struct member *member, uint32_t room);

/* say.c */
void say_something(struct member *member, uint32_t room);
struct said *say_new(struct member *member, uint32_t room); /* NULL: enough was said */
void say_heard(struct member *member, yomo_room *room, const yomo_message *message);
void say_sent(struct member *member, uint64_t id, int32_t error);
void say_gap(struct member *member, yomo_room *room, const yomo_gap *gap);
void say_joined(struct member *member, uint32_t room); /* anew, by its program */
void say_disturbed(struct member *member);             /* its connection has trouble */
void say_another_session(struct member *member);
void say_check(struct model *model);

struct said *say_find(struct model *model, const yomo_message *message);

/* requests.c */
void requests_ask(struct member *member, uint32_t room);
void requests_heard(struct member *member, yomo_room *room,
                    const yomo_message *message);
void requests_turn(struct model *model, bool last); /* answers that are due */
void requests_disturbed(const struct member *member);
void requests_check(struct model *model);

/* history.c */
void history_wish(struct member *member, uint32_t room, yomo_join *join,
                  const struct seat *before);
void history_ask(struct member *member, uint32_t room);
void history_told(struct member *member, yomo_room *room, yomo_history *history);
void history_heard(struct member *member, uint32_t room, uint64_t place);
bool history_owes(const struct seat *seat, const struct said *said);

/* locks.c */
void locks_want(struct member *member, uint32_t room);
void locks_told(struct member *member, yomo_room *room, bool held, uint64_t version);
void locks_seen(struct member *member, yomo_room *room, const yomo_value *value);
void locks_sent(struct member *member, const struct said *said);
void locks_settle(struct model *model);

/* users.c */
void users_told(struct member *member, yomo_room *room, const yomo_user *who,
                int32_t change);
void users_check(const struct member *member, uint32_t room);

/* values.c */
void values_increment(struct member *member, uint32_t room);
void values_told(struct member *member, yomo_room *room, const yomo_value *value);
void values_check(struct model *model, uint32_t room);

/* promises.c: all is quiet. */
void promises_check(struct model *model);

#endif
