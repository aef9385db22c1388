/* SPDX-License-Identifier: Apache-2.0
 *
 * Order on the disk: the part file with its head and its full length, then the
 * journal's header, then, again and again, elements (fdatasync), records (fdatasync).
 * Tiles that are finished while the disk works go with the next round. Then what
 * identifies the file (fdatasync), its new name, and the journal's end.
 */
#include "cli/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/npy_writer.h"
#include "cli/target.h"
#include "matmul/npy.h"

/* ---- the thread ---- */

static uint64_t end_of_records(const tess_journal *journal) {
  return TESS_JOURNAL_HEADER_BYTES + (uint64_t)journal->number * TESS_JOURNAL_RECORD_BYTES;
}

/* One round: what was put before is on the disk, then what says so. */
static const char *record(cli_journal *j, const tess_tile *tiles, size_t count) {
  static uint8_t records[CLI_JOURNAL_QUEUE * TESS_JOURNAL_RECORD_BYTES];
  const uint64_t offset = end_of_records(&j->journal);
  if (fdatasync(j->part_fd) != 0) return j->part_path;
  for (size_t i = 0; i < count; i++)
    tess_journal_write_tile(&j->journal, tiles[i], records + i * TESS_JOURNAL_RECORD_BYTES);
  if (!cli_write_at(j->journal_fd, records, count * TESS_JOURNAL_RECORD_BYTES, offset) ||
      fdatasync(j->journal_fd) != 0)
    return j->journal_path;
  return NULL;
}

static void *run_thread(void *arg) {
  cli_journal *j = arg;
  static tess_tile tiles[CLI_JOURNAL_QUEUE];
  pthread_mutex_lock(&j->mutex);
  for (;;) {
    while (j->queue_count == 0 && !j->stop)
      pthread_cond_wait(&j->changed, &j->mutex);
    if (j->queue_count == 0 || j->error != 0) break;
    const size_t count = j->queue_count;
    memcpy(tiles, j->queue, count * sizeof *tiles);
    j->queue_count = 0;
    j->busy = true;
    pthread_mutex_unlock(&j->mutex);
    const char *failed = record(j, tiles, count);
    const int error = errno;
    pthread_mutex_lock(&j->mutex);
    j->busy = false;
    if (failed != NULL) {
      j->error = error != 0 ? error : EIO;
      j->error_path = failed;
    } else {
      for (size_t i = 0; i < count; i++)
        j->recorded_elements += (uint64_t)tiles[i].rows * tiles[i].cols;
    }
    pthread_cond_broadcast(&j->changed);
    if (failed != NULL) break;
  }
  pthread_mutex_unlock(&j->mutex);
  return NULL;
}

static tess_code start_thread(cli_journal *j, tess_status *status) {
  if (pthread_create(&j->thread, NULL, run_thread, j) != 0)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no thread could be started");
  j->has_thread = true;
  return TESS_OK;
}

/* ---- opening ---- */

static tess_code name_files(cli_journal *j, const char *path, tess_status *status) {
  tess_code code = cli_target_resolve(path, j->path, &j->mode, status);
  if (code != TESS_OK) return code;
  const size_t size = strlen(j->path);
  if (size + sizeof ".journal" > PATH_MAX) return cli_target_failed(status, path, ENAMETOOLONG);
  memcpy(j->part_path, j->path, size);
  memcpy(j->part_path + size, ".part", sizeof ".part");
  memcpy(j->journal_path, j->path, size);
  memcpy(j->journal_path + size, ".journal", sizeof ".journal");
  return TESS_OK;
}

static tess_code cannot_write(const char *path, tess_status *status) {
  const int error = errno;
  return tess_status_set(status, cli_target_failed(NULL, path, error), "%s: cannot be written: %s",
                         path, strerror(error));
}

/* One run at a time. The lock goes with the process, however that ends. */
static tess_code open_journal(cli_journal *j, tess_status *status) {
  struct stat opened, there;
  j->journal_fd = open(j->journal_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, j->mode | 0600);
  if (j->journal_fd < 0) return cannot_write(j->journal_path, status);
  /* Whoever held the lock a moment ago may have removed the file since. */
  if (flock(j->journal_fd, LOCK_EX | LOCK_NB) != 0 || fstat(j->journal_fd, &opened) != 0 ||
      stat(j->journal_path, &there) != 0 || opened.st_ino != there.st_ino ||
      opened.st_dev != there.st_dev)
    return tess_status_set(status, TESS_ABORTED, "%s: another run is at work on it",
                           j->journal_path);
  return TESS_OK;
}

static bool read_at(int fd, void *to, size_t size, uint64_t offset, size_t *got) {
  *got = 0;
  while (*got < size) {
    ssize_t some = pread(fd, (uint8_t *)to + *got, size - *got, (off_t)(offset + *got));
    if (some < 0 && errno == EINTR) continue;
    if (some < 0) return false;
    if (some == 0) break;
    *got += (size_t)some;
  }
  return true;
}

/* All tiles that are recorded. */
static tess_code read_tiles(cli_journal *j, tess_reason *why, tess_status *status) {
  uint8_t records[128 * TESS_JOURNAL_RECORD_BYTES];
  size_t room = 0, got = 0;
  tess_code code = TESS_OK;
  while (code == TESS_OK) {
    if (!read_at(j->journal_fd, records, sizeof records, end_of_records(&j->journal), &got))
      return cli_target_failed(status, j->journal_path, errno);
    for (size_t at = 0; code == TESS_OK; at += TESS_JOURNAL_RECORD_BYTES) {
      if (at == sizeof records) break; /* the next piece */
      if (j->done_count == room) {
        room = room > 0 ? 2 * room : 64;
        tess_tile *more =
            room <= CLI_JOURNAL_MAX_TILES ? realloc(j->done, room * sizeof *more) : NULL;
        if (more == NULL)
          return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "%s: no memory for its %zu tiles",
                                 j->journal_path, j->done_count);
        j->done = more;
      }
      tess_tile *tile = &j->done[j->done_count];
      code = tess_journal_read_tile(&j->journal, records + at, got - at, tile, why);
      if (code != TESS_OK) break;
      j->done_elements += (uint64_t)tile->rows * tile->cols;
      j->done_count++;
    }
  }
  return code == TESS_LATER ? TESS_OK
                            : tess_status_set(status, code, "%s: %s", j->journal_path, why->text);
}

/* What an earlier run left. *found: tiles are recorded. */
static tess_code read_journal(cli_journal *j, bool *found, tess_status *status) {
  uint8_t header[TESS_JOURNAL_HEADER_BYTES];
  tess_reason why = {""};
  size_t got = 0;
  *found = false;
  if (!read_at(j->journal_fd, header, sizeof header, 0, &got))
    return cli_target_failed(status, j->journal_path, errno);
  tess_code code = tess_journal_read_header(header, got, &j->journal, &why);
  if (code == TESS_LATER) return TESS_OK;
  if (code != TESS_OK) return tess_status_set(status, code, "%s: %s", j->journal_path, why.text);
  code = read_tiles(j, &why, status);
  *found = code == TESS_OK && j->done_count > 0;
  return code;
}

static tess_code refuse_old(const cli_journal *j, tess_status *status) {
  const double all = (double)j->journal.product.m * j->journal.product.n;
  return tess_status_set(status, TESS_FAILED_PRECONDITION,
                         "%s: an unfinished run is there (%u %% of its result); --resume goes on "
                         "with it, or remove it to start afresh",
                         j->journal_path, (unsigned)(100.0 * (double)j->done_elements / all));
}

/* The result's head and length, and room for all of it: a full disk is told now. */
static tess_code make_part(cli_journal *j, const tess_journal_product *product,
                           tess_status *status) {
  size_t bytes = 0;
  if (!tess_matrix_byte_count(product->m, product->n, product->dtype, &bytes))
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "the result is too large");
  j->part_fd = open(j->part_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, j->mode | 0600);
  if (j->part_fd < 0) return cannot_write(j->part_path, status);
  if (ftruncate(j->part_fd, 0) != 0 || fchmod(j->part_fd, j->mode | 0600) != 0 ||
      !cli_npy_make(j->part_fd, product->m, product->n, product->dtype) || fsync(j->part_fd) != 0) {
    tess_code code = cannot_write(j->part_path, status);
    unlink(j->part_path);
    return code;
  }
  return TESS_OK;
}

static tess_code begin(cli_journal *j, const tess_journal_product *product, tess_status *status) {
  uint8_t header[TESS_JOURNAL_HEADER_BYTES];
  j->is_new = true;
  tess_code code = make_part(j, product, status);
  if (code != TESS_OK) return code;
  tess_journal_begin(&j->journal, product, header);
  if (ftruncate(j->journal_fd, 0) != 0 || !cli_write_at(j->journal_fd, header, sizeof header, 0) ||
      fsync(j->journal_fd) != 0) {
    code = cannot_write(j->journal_path, status);
    unlink(j->part_path);
    return code;
  }
  cli_target_sync_directory(j->journal_path);
  return TESS_OK;
}

/* The head and the length of the result. */
static bool is_result(int fd, const tess_journal_product *product) {
  uint8_t head[TESS_NPY_HEADER_BYTES], there[TESS_NPY_HEADER_BYTES];
  size_t bytes = 0, got = 0;
  struct stat info;
  return tess_matrix_byte_count(product->m, product->n, product->dtype, &bytes) &&
         tess_npy_write_header(product->m, product->n, product->dtype, head) == TESS_OK &&
         fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
         (uint64_t)info.st_size == sizeof head + (uint64_t)bytes &&
         read_at(fd, there, sizeof there, 0, &got) && got == sizeof there &&
         memcmp(head, there, sizeof head) == 0;
}

static tess_journal_end identity_of(const struct stat *file) {
  return (tess_journal_end){.file = file->st_ino,
                            .modified_ns = (uint64_t)file->st_mtim.tv_sec * 1000000000u +
                                           (uint64_t)file->st_mtim.tv_nsec};
}

/* Ended between the renaming and the removal of the journal: the result is in place, and it
 * is the file that was the part file (is_complete). Whatever else is there is not taken for it. */
static tess_code open_result(cli_journal *j, tess_status *status) {
  uint8_t record[TESS_JOURNAL_RECORD_BYTES];
  tess_journal_end then, now;
  struct stat info;
  size_t got = 0;
  if (!read_at(j->journal_fd, record, sizeof record, end_of_records(&j->journal), &got) ||
      !tess_journal_read_end(&j->journal, record, got, &then))
    return TESS_OK;
  j->part_fd = open(j->path, O_RDONLY | O_CLOEXEC); /* nothing more is written to it */
  if (j->part_fd < 0 && errno == ENOENT) return TESS_OK;
  if (j->part_fd < 0 || fstat(j->part_fd, &info) != 0)
    return cli_target_failed(status, j->path, errno);
  now = identity_of(&info);
  j->is_complete = then.file == now.file && then.modified_ns == now.modified_ns;
  return TESS_OK;
}

static tess_code go_on(cli_journal *j, const tess_journal_product *product, tess_status *status) {
  tess_reason why;
  tess_code code = tess_journal_check_same(&j->journal.product, product, &why);
  if (code != TESS_OK)
    return tess_status_set(status, code, "%s is of another product: %s; remove it to start afresh",
                           j->journal_path, why.text);
  j->part_fd = open(j->part_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (j->part_fd < 0 && errno == ENOENT) {
    if (j->done_elements == (uint64_t)product->m * product->n) code = open_result(j, status);
    if (code != TESS_OK) return code;
    if (!j->is_complete)
      return tess_status_set(status, TESS_DATA_LOSS,
                             "%s is not there, and with it what %s tells of; remove the journal "
                             "to start afresh",
                             j->part_path, j->journal_path);
  }
  if (j->part_fd < 0) return cannot_write(j->part_path, status);
  if (!is_result(j->part_fd, product))
    return tess_status_set(status, TESS_DATA_LOSS,
                           "%s is not what %s tells of; remove both to start afresh",
                           j->is_complete ? j->path : j->part_path, j->journal_path);
  /* What stands behind the last good record was torn, or tells of an end that was not. */
  if (!j->is_complete && ftruncate(j->journal_fd, (off_t)end_of_records(&j->journal)) != 0)
    return cannot_write(j->journal_path, status);
  return TESS_OK;
}

bool cli_journal_exists(const char *path) {
  static cli_journal j; /* for its names alone */
  return name_files(&j, path, NULL) == TESS_OK && access(j.journal_path, F_OK) == 0;
}

tess_code cli_journal_open(cli_journal *j, const char *path, const tess_journal_product *product,
                           bool resume, tess_status *status) {
  bool found = false;
  memset(j, 0, sizeof *j);
  j->part_fd = j->journal_fd = -1;
  pthread_mutex_init(&j->mutex, NULL);
  pthread_cond_init(&j->changed, NULL);
  tess_code code = name_files(j, path, status);
  const bool was_there = code == TESS_OK && access(j->journal_path, F_OK) == 0;
  if (code == TESS_OK) code = open_journal(j, status);
  const bool locked = code == TESS_OK;
  if (code == TESS_OK && was_there) code = read_journal(j, &found, status);
  if (code == TESS_OK && found && !resume) code = refuse_old(j, status);
  if (code == TESS_OK) code = found ? go_on(j, product, status) : begin(j, product, status);
  if (code == TESS_OK) code = start_thread(j, status);
  if (code == TESS_OK) return TESS_OK;
  if (locked && !was_there) unlink(j->journal_path);
  j->is_new = false; /* nothing is to be removed */
  cli_journal_close(j);
  return code;
}

/* ---- tiles ---- */

static tess_code tell_error(cli_journal *j, tess_status *status) {
  return cli_target_failed(status, j->error_path, j->error);
}

tess_code cli_journal_put(cli_journal *j, tess_tile tile, tess_const_matrix values,
                          tess_status *status) {
  if (!cli_npy_write(j->part_fd, j->journal.product.n, tile, values))
    return cannot_write(j->part_path, status);
  pthread_mutex_lock(&j->mutex);
  while (j->queue_count == CLI_JOURNAL_QUEUE && j->error == 0)
    pthread_cond_wait(&j->changed, &j->mutex);
  const bool failed = j->error != 0;
  if (!failed) j->queue[j->queue_count++] = tile;
  pthread_cond_broadcast(&j->changed);
  pthread_mutex_unlock(&j->mutex);
  return failed ? tell_error(j, status) : TESS_OK;
}

/* ---- ending ---- */

static void stop_thread(cli_journal *j) {
  if (!j->has_thread) return;
  pthread_mutex_lock(&j->mutex);
  j->stop = true;
  pthread_cond_broadcast(&j->changed);
  pthread_mutex_unlock(&j->mutex);
  pthread_join(j->thread, NULL);
  j->has_thread = false;
}

static bool is_in_place(int fd, const char *path) {
  struct stat opened, there;
  return fstat(fd, &opened) == 0 && stat(path, &there) == 0 && opened.st_ino == there.st_ino &&
         opened.st_dev == there.st_dev;
}

/* A journal that was removed meanwhile holds nobody off the part file. */
static tess_code check_in_place(const cli_journal *j, tess_status *status) {
  const char *gone = !is_in_place(j->journal_fd, j->journal_path) ? j->journal_path
                     : !is_in_place(j->part_fd, j->part_path)     ? j->part_path
                                                                  : NULL;
  if (gone == NULL) return TESS_OK;
  return tess_status_set(status, TESS_ABORTED, "%s: was removed or replaced meanwhile", gone);
}

static tess_code record_end(cli_journal *j, tess_status *status) {
  uint8_t record[TESS_JOURNAL_RECORD_BYTES];
  struct stat info;
  if (fstat(j->part_fd, &info) != 0) return cli_target_failed(status, j->part_path, errno);
  tess_journal_write_end(&j->journal, identity_of(&info), record);
  if (!cli_write_at(j->journal_fd, record, sizeof record, end_of_records(&j->journal)) ||
      fdatasync(j->journal_fd) != 0)
    return cli_target_failed(status, j->journal_path, errno);
  return TESS_OK;
}

tess_code cli_journal_commit(cli_journal *j, tess_status *status) {
  stop_thread(j);
  if (j->error != 0) return tell_error(j, status);
  if (!j->is_complete) {
    /* Whoever may write the file, and does not own it, leaves its mode as it is. */
    if ((fchmod(j->part_fd, j->mode) != 0 && errno != EPERM) || fsync(j->part_fd) != 0)
      return cli_target_failed(status, j->part_path, errno);
    tess_code code = check_in_place(j, status);
    if (code == TESS_OK) code = record_end(j, status);
    if (code != TESS_OK) return code;
    if (rename(j->part_path, j->path) != 0) return cli_target_failed(status, j->path, errno);
  }
  j->committed = true;
  cli_target_sync_directory(j->path);
  unlink(j->journal_path); /* the result is complete, with or without */
  cli_target_sync_directory(j->path);
  return TESS_OK;
}

void cli_journal_close(cli_journal *j) {
  stop_thread(j);
  if (j->is_new && j->recorded_elements == 0 && !j->committed) { /* worth nothing */
    unlink(j->part_path);
    unlink(j->journal_path);
  }
  j->is_kept = j->part_fd >= 0 && j->journal_fd >= 0 && is_in_place(j->part_fd, j->part_path) &&
               is_in_place(j->journal_fd, j->journal_path);
  if (j->part_fd >= 0) close(j->part_fd);
  if (j->journal_fd >= 0) close(j->journal_fd);
  j->part_fd = j->journal_fd = -1;
  free(j->done);
  j->done = NULL;
  pthread_cond_destroy(&j->changed);
  pthread_mutex_destroy(&j->mutex);
}
