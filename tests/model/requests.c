/* SPDX-License-Identifier: MIT */
/* requests.c - questions: each has one outcome, a reply is that of who was asked, none
 * comes after the time is over, and where nothing stands in the way there is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chance.h"
#include "model.h"

#define LATE (2 * YO_SECOND) /* for what is due at its end */

static void on_reply(void *user, yomo_room *room, int32_t error,
                     const yomo_message *reply)
{
    struct question *question = user;
    struct model *model = question->model;
    const struct member *asker = model->members[question->asker];
    unsigned number;
    (void)room;
    if (asker->dead) {
        return;
    }
    model_tell(model, "%s's question %u: %s", asker->name, question->number,
               yomo_error_name(error));
    if (question->over) {
        model_fail(model, "it was told before");
    }
    question->over = true;
    model->tally.replies += error == YOMO_OK;
    bool answered = error == YOMO_OK || error == YOMO_ERR_DENIED;
    if (answered &&
        (!reply || !question->answered ||
         (error == YOMO_OK) != (question->manner != ANSWER_NO) ||
         strcmp(yomo_message_from(reply), model->members[question->asked]->id) != 0)) {
        model_fail(model, "nobody has said that");
    }
    if (error == YOMO_OK &&
        (sscanf(yomo_message_json(reply, NULL), "{\"answer\":%u", &number) != 1 ||
         number != question->number)) {
        model_fail(model, "that is the answer to something else");
    }
    if (error == YOMO_ERR_TIMEOUT && model_now < question->at + question->timeout) {
        model_fail(model, "its time was not over");
    }
    if (!answered && question->calm && question->manner <= ANSWER_NO) {
        model_fail(model, "nothing stood in the way of an answer");
    }
}

void requests_ask(struct member *member, uint32_t room)
{
    static const yo_time timeouts[] = {500 * YO_MS, 5 * YO_SECOND, 30 * YO_SECOND};
    struct model *model = member->model;
    const struct member *to = model_anybody(model);
    struct question *question = &model->questions[model->question_count];
    char text[32];
    if (model->question_count == QUESTIONS_MAX || !to || to == member) {
        return;
    }
    *question = (struct question){.model = model,
                                  .number = model->question_count,
                                  .asker = member->index,
                                  .asked = to->index,
                                  .room = room,
                                  .at = model_now,
                                  .timeout = timeouts[chance_below(3)],
                                  .manner = (enum answer)chance_below(ANSWERS)};
    question->calm = !model->faulty && member_is_there(to, room) &&
                     member_is_there(member, room) && !to->narrow && !member->narrow &&
                     !to->troubled && !member->troubled &&
                     question->timeout > 5 * YO_SECOND;
    int size = snprintf(text, sizeof(text), "{\"ask\":%u}", question->number);
    yomo_send *how;
    assert_int_equal(yomo_send_create(&how, member->client), YOMO_OK);
    if (chance_of(50) && to->session != 0) {
        question->session = to->session;
        yomo_send_to(how, to->session);
    } else {
        yomo_send_to_user(how, to->id);
    }
    int32_t rv =
        yomo_room_request(member->seats[room].room, how, "ask", text, (size_t)size,
                          YOMO_JSON, question->timeout / YO_MS, on_reply, question);
    yomo_send_free(how);
    model_tell(model, "%s asks %s question %u in %s, for %.1f s%s%s", member->name,
               to->name, question->number, room_name(room),
               (double)question->timeout / 1e9, rv ? ": " : "",
               rv ? yomo_error_name(rv) : "");
    model->question_count += rv == YOMO_OK;
}

static void answer(struct question *question, yomo_request *request)
{
    char text[32];
    int32_t rv;
    if (question->manner == ANSWER_NO) {
        rv = yomo_request_refuse(request, YOMO_ERR_DENIED, "no");
    } else {
        int size = snprintf(text, sizeof(text), "{\"answer\":%u}", question->number);
        rv = yomo_request_reply(request, text, (size_t)size, YOMO_JSON);
    }
    question->answered |= rv == YOMO_OK;
    if (rv != YOMO_OK) {
        yomo_request_free(request);
    }
}

/* Somebody is asked. */
void requests_heard(struct member *member, yomo_room *room, const yomo_message *message)
{
    struct model *model = member->model;
    yomo_request *request = yomo_message_take_request(message);
    struct question *question;
    unsigned number;
    if (sscanf(yomo_message_json(message, NULL), "{\"ask\":%u", &number) != 1 ||
        number >= model->question_count) {
        model_fail(model, "a question that nobody asked");
    }
    question = &model->questions[number];
    model_tell(model, "%s is asked question %u", member->name, number);
    if ((!request && !model->faulty) || question->room != room_of(room) ||
        strcmp(member->id, model->members[question->asked]->id) != 0 ||
        (question->session != 0 && question->session != member->session) ||
        question->heard & 1u << member->index) {
        model_fail(model, "it was not asked that, or before");
    }
    question->heard |= 1u << member->index;
    if (!request) {
        return; /* there was no memory for it */
    }
    if (question->manner == ANSWER_LATER && model->later_count < LATER_MAX) {
        model->later[model->later_count++] =
            (struct later){.question = question,
                           .request = request,
                           .member = member,
                           .due = model_now + chance_below(8 * YO_SECOND)};
    } else if (question->manner <= ANSWER_NO) {
        answer(question, request);
    } else {
        yomo_request_free(request);
    }
}

void requests_turn(struct model *model, bool last)
{
    for (size_t i = 0; i < model->later_count; i++) {
        struct later *later = &model->later[i];
        if (later->member->dead || last) {
            yomo_request_free(later->request);
        } else if (later->due <= model_now) {
            answer(later->question, later->request);
        } else {
            continue;
        }
        *later = model->later[--model->later_count];
        i--;
    }
}

void requests_disturbed(const struct member *member)
{
    struct model *model = member->model;
    for (uint32_t i = 0; i < model->question_count; i++) {
        struct question *question = &model->questions[i];
        if (question->asker == member->index || question->asked == member->index) {
            question->calm = false;
        }
    }
}

void requests_check(struct model *model)
{
    for (uint32_t i = 0; i < model->question_count; i++) {
        const struct question *question = &model->questions[i];
        const struct member *asker = model->members[question->asker];
        if (!question->over && !asker->dead &&
            model_now > question->at + question->timeout + LATE) {
            model_fail(model, "%s never heard what became of question %u", asker->name,
                       i);
        }
    }
}
