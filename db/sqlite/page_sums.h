/* SPDX-License-Identifier: Apache-2.0
 *
 * A sum for each page of the database, in a file next to it (DB-sums), so that a byte that changed
 * on the disk is seen when its page is read, in whatever table or index it is. A layer between
 * sqlite and the file system:
 *
 *   checkpoint  pages go to the file   their sums are taken
 *               sync                   the sums are synced, then the file
 *   read        of the file            a page that does not have its sum is damaged
 *
 * Frames of the log have sums of sqlite's own. A crash within a checkpoint leaves pages and sums
 * that do not fit, all of them pages of the log, which sqlite reads from there until a checkpoint
 * has been synced. A copy of the database needs no sums.
 *
 * The sums belong to one file, known by its number and time of birth: for a copy that was put in
 * its place they begin again, from what it holds. So they do where they are missing, and where a
 * provd was killed and another program has moved its log into the file (the shell of sqlite does
 * when it closes): what else it did is not known. What a program writes while provd works, or
 * after an orderly end, is damage. Where the sums cannot be written, they are removed, and kept in
 * memory until the end.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

/* The name of the layer for sqlite3_open_v2(). Any thread. */
const char *page_sums_vfs(void);
/* From here on a damaged page fails the read (SQLITE_IOERR_DATA); until then it is noted. A schema
 * that was damaged can be read by people in this way. */
void page_sums_strict(sqlite3 *sql, bool strict);
/* This connection reads what another program writes: a page that does not have its sum is read again, with its
 * sum out of the file, until it has, since a checkpoint writes pages before their sums. A page that is in the
 * log as well is not judged: its sum comes with the sync of the checkpoint. Any other one that has not its sum
 * within FOLLOW_S seconds is damaged, and fails the read. */
void page_sums_follow(sqlite3 *sql);
/* Asks `stop` every few pages that are read by this connection; where it says other than 0 the read
 * ends with SQLITE_INTERRUPT. For a check of all pages, which sqlite does in one step of its own.
 * NULL: no more. */
void page_sums_watch(sqlite3 *sql, int (*stop)(void *data), void *data);
/* Whether they began again with this opening, and why; NULL: no. Valid while a connection is open.
 */
const char *page_sums_begun(sqlite3 *sql, size_t *ret_pages);
/* The first damaged page that was read by any connection to this database, 0 none. */
unsigned page_sums_damaged(sqlite3 *sql);
