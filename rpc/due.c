/* SPDX-License-Identifier: Apache-2.0
 *
 * Fredman, Sedgewick, Sleator, Tarjan: The pairing heap (Algorithmica 1, 1986), with
 * merges in two passes, which are loops here: a family may have as many children as
 * there are things.
 */
#include "rpc/due.h"

#include <stddef.h>

#include <tessera/http.h>

/* Two heaps become one. Neither root has siblings. */
static tess__due *meld(tess__due *a, tess__due *b) {
  if (a == NULL) return b;
  if (b == NULL) return a;
  tess__due *parent = a->at_ms <= b->at_ms ? a : b, *child = parent == a ? b : a;
  child->next = parent->child;
  if (child->next != NULL) child->next->previous = child;
  child->previous = parent;
  parent->child = child;
  return parent;
}

/* The children of one that is taken out: in pairs from the left, then from the right. */
static tess__due *meld_siblings(tess__due *one) {
  tess__due *pairs = NULL, *all = NULL;
  while (one != NULL) {
    tess__due *other = one->next, *rest = other != NULL ? other->next : NULL;
    one->next = one->previous = NULL;
    if (other != NULL) other->next = other->previous = NULL;
    tess__due *pair = meld(one, other);
    pair->next = pairs;
    pairs = pair;
    one = rest;
  }
  while (pairs != NULL) {
    tess__due *rest = pairs->next;
    pairs->next = NULL;
    all = meld(all, pairs);
    pairs = rest;
  }
  return all;
}

void tess__due_remove(tess__due_queue *queue, tess__due *due) {
  if (!due->queued) return;
  tess__due *children = meld_siblings(due->child);
  if (due == queue->first) {
    queue->first = children;
  } else {
    if (due->previous->child == due)
      due->previous->child = due->next;
    else
      due->previous->next = due->next;
    if (due->next != NULL) due->next->previous = due->previous;
    queue->first = meld(queue->first, children);
  }
  *due = (tess__due){.of = due->of};
}

void tess__due_put(tess__due_queue *queue, tess__due *due, int64_t at_ms) {
  if (due->queued && due->at_ms == at_ms) return;
  tess__due_remove(queue, due);
  if (at_ms == TESS_NEVER_MS) return;
  *due = (tess__due){.of = due->of, .queued = true, .at_ms = at_ms};
  queue->first = meld(queue->first, due);
}

int64_t tess__due_next_ms(const tess__due_queue *queue) {
  return queue->first != NULL ? queue->first->at_ms : TESS_NEVER_MS;
}
