/* SPDX-License-Identifier: MIT */
/* test_model.c - random members, sends, breaks, resumes and crashes; their promises are
 * looked at after each step.
 *
 *     test_model [FIRST [COUNT]]     runs of these seeds; 1 and 40 unless given */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chance.h"
#include "client/udp_blocked.h"
#include "loop/inside.h"
#include "model.h"

#define STEPS 150
#define STORY (sizeof(((struct model *)0)->story) / sizeof(char *))

/* --- the story ---------------------------------------------------------------------
 */

static bool aloud;

void model_tell(struct model *model, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    char **line = &model->story[model->lines++ % STORY];
    free(*line);
    *line = malloc(strlen(text) + 32);
    assert_non_null(*line);
    snprintf(*line, strlen(text) + 32, "%9.3f s  %s",
             (double)(model_now - 1000 * YO_SECOND) / 1e9, text);
    if (aloud) {
        fprintf(stderr, "%s\n", *line);
    }
}

_Noreturn void model_fail(struct model *model, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!aloud) {
        uint64_t from = model->lines > STORY ? model->lines - STORY : 0;
        for (uint64_t i = from; i < model->lines; i++) {
            fprintf(stderr, "%s\n", model->story[i % STORY]);
        }
    }
    fprintf(stderr, "broken: %s\nthe story again: test_model %llu 1\n", text,
            (unsigned long long)model->seed);
    abort();
}

/* --- time --------------------------------------------------------------------------
 */

static yo_time sooner(yo_time a, yo_time b)
{
    return a < b ? a : b;
}

static yo_time due(struct model *model)
{
    yo_time when = net_due(&model->net);
    for (uint32_t i = 0; i < model->member_count; i++) {
        when = sooner(when, member_due(model->members[i]));
    }
    for (uint32_t i = 0; !model->down && i < model->workers; i++) {
        const struct yo_heap_node *first =
            yo_heap_first(&rig_worker(&model->rig, i)->loop->timers);
        when = sooner(when, first ? first->when : YO_NEVER);
    }
    return when;
}

/* All that is due now. */
static void settle(struct model *model)
{
    bool again = true;
    for (int round = 0; again; round++) {
        again = false;
        if (round == 1000) {
            model_fail(model, "all this does not come to rest");
        }
        if (!model->down) {
            rig_settle(&model->rig);
        }
        again |= net_turn(&model->net);
        for (uint32_t i = 0; i < model->member_count; i++) {
            again |= member_turn(model->members[i]);
        }
        requests_turn(model, false);
    }
}

void model_pass(struct model *model, yo_time span)
{
    yo_time until = model_now + span;
    settle(model);
    for (yo_time when = due(model); when <= until; when = due(model)) {
        model_now = when > model_now ? when : model_now + YO_US;
        settle(model);
    }
    model_now = until;
}

/* --- the server --------------------------------------------------------------------
 */

static void start_server(struct model *model)
{
    rig_open_with(&model->rig, &model->fault.mem, model->workers, NULL, model,
                  model->settings);
    for (uint32_t i = 0; i < model->workers; i++) {
        model->rig.server->workers[i]->epoch = 7 + model->crashes;
    }
    model->net.rig = &model->rig;
    model->down = false;
    model_tell(model, "the server starts, %u workers", model->workers);
}

static void crash_server(struct model *model)
{
    model_tell(model, "the server dies");
    net_crash(&model->net);
    rig_close(&model->rig);
    model->crashes++;
    model->down = true;
}

static void choose_settings(struct model *model)
{
    static const char *const graces[] = {"0s", "2s", "5s", "15s"};
    static const char *const intervals[] = {"0", "50ms", "200ms"};
    size_t count = 0;
    model->settings[count++] = "grace-time";
    model->settings[count++] = graces[chance_below(4)];
    model->settings[count++] = "presence-interval";
    model->settings[count++] = intervals[chance_below(3)];
    model->settings[count++] = "room-linger"; /* values live as long */
    model->settings[count++] = "1h";
    if (chance_of(30)) { /* too small for what is said in a long break */
        model->settings[count++] = "resume-log";
        model->settings[count++] = "2k";
        model->log_small = true;
    }
    static const char *const kept[] = {"0", "10", "1000"};
    model->settings[count++] = "history-messages";
    model->settings[count++] = kept[chance_below(3)];
    model->settings[count] = NULL;
    model->ranks = chance_of(60);
    model->faulty = chance_of(25);
    model->workers = 1 + (uint32_t)chance_below(3);
    model->net.loss_percent = (unsigned)chance_below(3) * 10;
    model_tell(model, "grace %s, interval %s, %u %% of datagrams lost",
               model->settings[1], model->settings[3], model->net.loss_percent);
}

/* --- what happens ------------------------------------------------------------------
 */

struct member *model_anybody(struct model *model)
{
    for (int i = 0; i < 50 && model->member_count > 0; i++) {
        struct member *member = model->members[chance_below(model->member_count)];
        if (!member->dead) {
            return member;
        }
    }
    return NULL;
}

static void trouble(struct model *model, struct member *member)
{
    struct wire *wire = member_wire(member);
    if (chance_of(20)) {
        member->udp_blocked = !member->udp_blocked;
        model_tell(model, "%s's way is %s for UDP", member->name,
                   member->udp_blocked ? "closed" : "open");
    }
    if (!wire) {
        return;
    }
    if (chance_of(30)) {
        yo_time span = chance_below(6) * YO_SECOND;
        model_tell(model, "%s's connection stalls for %llu s", member->name,
                   (unsigned long long)(span / YO_SECOND));
        member_disturbed(member);
        wire_stall(wire, span);
        return;
    }
    if (chance_of(30)) {
        model_tell(model, "%s's path is cut", member->name);
        member_disturbed(member);
        wire_cut(wire);
        return;
    }
    yo_time client = chance_below(2) * chance_below(4000) * YO_MS;
    yo_time server = chance_below(2) * chance_below(4000) * YO_MS;
    model_tell(model, "%s's connection breaks", member->name);
    member_disturbed(member);
    wire_break(wire, model_now + client, model_now + server);
}

static void in_a_room(struct member *member)
{
    uint32_t room = (uint32_t)chance_below(ROOMS);
    if (!member->seats[room].room) {
        member_join(member, room);
    } else if (chance_of(6)) {
        member_leave(member, room);
    } else if (chance_of(15)) {
        values_increment(member, room);
    } else if (chance_of(15)) {
        member_set_state(member, room);
    } else if (chance_of(10)) {
        requests_ask(member, room);
    } else if (chance_of(10)) {
        locks_want(member, room);
    } else if (chance_of(5)) {
        history_ask(member, room);
    } else {
        say_something(member, room);
    }
}

static void step(struct model *model)
{
    struct member *member = model_anybody(model);
    uint64_t what = chance_below(100);
    model->event++;
    if (!member || (what < 6 && model->member_count < MEMBERS_MAX)) {
        if (model->member_count < MEMBERS_MAX) {
            static const enum yomo_transport_kind kinds[] = {
                YOMO_TRANSPORT_WEBSOCKET, YOMO_TRANSPORT_WEBTRANSPORT,
                YOMO_TRANSPORT_NONE};
            member = member_create(model, kinds[chance_below(3)]);
            member_join(member, (uint32_t)chance_below(ROOMS));
        }
    } else if (what < 14) {
        trouble(model, member);
    } else if (what < 15) {
        member_die(member, model_now + chance_below(3) * YO_SECOND);
    } else if (what < 16 && !model->down && chance_of(50)) {
        crash_server(model);
    } else {
        in_a_room(member);
    }
    if (model->down && chance_of(40)) {
        start_server(model);
    }
    if (model->faulty && !model->down && chance_of(10)) {
        fault_arm(&model->fault, 1 + chance_below(300), FAULT_ONCE);
    }
    model_pass(model,
               chance_of(80) ? chance_below(200) * YO_MS : chance_below(6000) * YO_MS);
    if (atomic_load(&model->fault.failed)) {
        model_tell(model, "an allocation has failed");
        model->tally.faults++;
    }
    fault_arm(&model->fault, 0, FAULT_ONCE);
}

static void end(struct model *model)
{
    for (uint32_t i = 0; i < model->member_count; i++) {
        model->members[i]->dead = true; /* what follows is nobody's business */
        yomo_client_close(model->members[i]->client);
    }
    model_pass(model, 60 * YO_SECOND);
    for (uint32_t i = 0; i < model->member_count; i++) {
        member_free(model->members[i]);
    }
    requests_turn(model, true);
    net_finish(&model->net);
    rig_close(&model->rig);
    fault_assert_no_leak(&model->fault);
    for (size_t i = 0; i < STORY; i++) {
        free(model->story[i]);
    }
}

static void add(struct tally *tally, const struct model *model)
{
    tally->said += model->said_count;
    tally->heard += model->tally.heard;
    tally->gaps += model->tally.gaps;
    tally->expired += model->tally.expired;
    tally->replies += model->tally.replies;
    tally->locks += model->tally.locks;
    tally->crashes += model->crashes;
    for (uint32_t i = 0; i < model->member_count; i++) {
        tally->resumed += model->members[i]->resumed;
    }
    tally->moved += model->tally.moved;
    tally->faults += model->tally.faults;
}

static void run(uint64_t seed, struct tally *tally)
{
    struct model *model = calloc(1, sizeof(*model));
    assert_non_null(model);
    model->seed = seed;
    chance_seed(seed);
    net_init(&model->net);
    fault_init(&model->fault, 0, FAULT_ONCE);
    choose_settings(model);
    start_server(model);
    for (int i = 0; i < STEPS; i++) {
        step(model);
    }
    if (model->down) {
        start_server(model);
    }
    model_tell(model, "nothing more happens");
    for (uint32_t i = 0; i < model->member_count; i++) {
        model->members[i]->udp_blocked = false;
    }
    model_pass(model, 120 * YO_SECOND);
    promises_check(model);
    locks_settle(model);
    add(tally, model);
    end(model);
    free(model);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 40;
    struct tally tally = {0};
    /* The first look takes chance for its table, which no run is to miss. */
    (void)yo_udp_blocked(yo_span_of("m0"), 443, 0);
    aloud = count == 1;
    for (uint64_t seed = first; seed < first + count; seed++) {
        run(seed, &tally);
    }
    printf("%llu messages heard %llu times, %llu too old; %llu replies, %llu locks; "
           "%llu sessions resumed, %llu moved, %llu gaps, %llu servers died, "
           "%llu allocations failed\n",
           (unsigned long long)tally.said, (unsigned long long)tally.heard,
           (unsigned long long)tally.expired, (unsigned long long)tally.replies,
           (unsigned long long)tally.locks, (unsigned long long)tally.resumed,
           (unsigned long long)tally.moved, (unsigned long long)tally.gaps,
           (unsigned long long)tally.crashes, (unsigned long long)tally.faults);
    /* A model in which nothing of it happens checks nothing. */
    bool vain =
        count >= 20 && (tally.resumed == 0 || tally.gaps == 0 || tally.crashes == 0 ||
                        tally.expired == 0 || tally.replies == 0 || tally.moved == 0 ||
                        tally.faults == 0 || tally.locks == 0);
    printf("%llu passed, %d failed\n", (unsigned long long)(count - (vain ? 1 : 0)),
           vain);
    return vain ? 1 : 0;
}
