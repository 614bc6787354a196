/* SPDX-License-Identifier: Apache-2.0
 *
 * /artifacts: firmware files, addressed by their SHA-256. A file is read by the reader of its
 * format before anything is kept of it; then it is on disk under its digest, durably, before its
 * row is.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "api/route.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "daemon/actions/image_json.h"
#include "db/artifacts.h"
#include "transports/images/bootimg.h"
#include "transports/images/gate.h"
#include "transports/images/image.h"
#include "transports/images/sparse.h"

static int read_artifacts(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	return artifacts_list(d, request_query(c->rq, "name"), page, ret, e);
}

static int get_artifacts(struct call *c, struct err *e)
{
	return api_answer_page(c, read_artifacts, e);
}

static int read_artifact(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	const char *sha = request_param(c->rq, "sha256");

	if (!is_sha256_hex(sha))
		return err_set(e, ERR_NOT_FOUND,
			"an artifact is addressed by its SHA-256 in lower-case hex");
	return artifacts_get(d, sha, ret, e);
}

static int get_artifact(struct call *c, struct err *e)
{
	return api_answer_one(c, read_artifact, e);
}

static int get_content(struct call *c, struct err *e)
{
	const char *sha = request_param(c->rq, "sha256");
	_cleanup_(freep) char *path = store_artifact(fleet_store(c->api->fleet), sha);
	json_t *o = NULL;
	struct stat st;
	int r = api_read(c, read_artifact, &o, e);

	json_decref(o);
	if (r < 0)
		return r;
	/* The principal is on record before the first byte of firmware leaves. */
	r = api_audit(c, "artifact.get", sha, e);
	if (r < 0)
		return r;
	c->rs->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (c->rs->fd < 0 || fstat(c->rs->fd, &st) < 0)
		return err_errno(e, ERR_IO, errno, "artifact %s", sha);
	c->rs->status = 200;
	c->rs->body_len = (size_t)st.st_size;
	snprintf(c->rs->content_type, sizeof c->rs->content_type, "application/octet-stream");
	return 0;
}

/* Recipes find files by their names when they are approved: who is limited to some recipes takes no name away from others. */
static int check_name(
	struct db *tx, const struct artifact *a, const struct principal *who, struct err *e)
{
	return who->scopes ? artifacts_check_name(tx, a->sha256, a->name, who->name, e) : 0;
}

struct put {
	struct artifact a;
	const struct principal *who;
	char *path; /* in the store */
	json_t *image;
	bool created;
};

static void put_done(struct put *p)
{
	free(p->path);
	json_decref(p->image);
}

/* By the first bytes. */
static int detect(struct call *c, enum image_format *ret, struct err *e)
{
	_cleanup_(closep) int fd = open(c->rq->upload_path, O_RDONLY | O_CLOEXEC);
	uint8_t head[4096];
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);

	if (n < 0)
		return err_errno(e, ERR_IO, errno, "read the upload");
	if (n == 0)
		return err_set(e, ERR_IMAGE_INVALID, "the file is empty");
	*ret = image_detect(head, (size_t)n);
	return 0;
}

static int check_mapped(
	const char *name, enum image_format f, const uint8_t *bytes, uint64_t n, struct err *e)
{
	_cleanup_(sparse_freep) struct sparse *sparse = NULL;
	struct bootimg boot;

	if (f == IMAGE_SPARSE)
		return sparse_read(name, bytes, n, &sparse, e);
	return content_detect(bytes, n) == CONTENT_BOOT ? bootimg_check(name, bytes, n, &boot, e)
							: 0;
}

/* Structure alone: the headers are looked at, not the gigabytes between them. */
static int check_partition(struct call *c, const char *name, enum image_format f, struct err *e)
{
	_cleanup_(closep) int fd = open(c->rq->upload_path, O_RDONLY | O_CLOEXEC);
	size_t n = (size_t)c->rq->upload_bytes;
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
	int r;

	if (map == MAP_FAILED)
		return err_errno(e, ERR_IO, errno, "read the upload");
	r = check_mapped(name, f, map, n, e);
	munmap(map, n);
	return r;
}

/* The reader of its format says whether it is whole, and what is in it. What no reader is for (an
 * archive, a raw file of a size that no microcontroller has) is kept as it is. */
static int check_image(struct call *c, struct put *p, struct err *e)
{
	_cleanup_(image_unrefp) struct image *image = NULL;
	struct image_opts o = IMAGE_OPTS_INSPECT;
	enum image_format format = IMAGE_BIN;
	enum image_format claim = gate_name_claim(p->a.name);
	bool disagrees;
	int r = detect(c, &format, e);

	if (r < 0)
		return r;
	p->a.format = image_format_str(format);
	/* A DFU suffix is at the end; a text may have any content. */
	disagrees =
		claim != IMAGE_ANY && claim != IMAGE_DFU && claim != IMAGE_TITXT && claim != format;
	if (!disagrees && (format == IMAGE_SPARSE || format == IMAGE_BOOTIMG))
		return check_partition(c, p->a.name, format, e);
	if (!disagrees && (!image_format_is_firmware(format) ||
				  (format == IMAGE_BIN && c->rq->upload_bytes > IMAGE_MAX_BYTES)))
		return 0;
	o.name = p->a.name;
	/* It may be for other uses: a file to push, a picture. */
	o.for_store = true;
	r = image_open(c->rq->upload_path, &o, &image, e);
	if (r < 0)
		return r;
	p->a.format = image_format_str(image->format);
	p->a.image = p->image = image_json(image);
	return 0;
}

static int keep_file(struct call *c, const char *path, struct err *e)
{
	const char *dir = store_artifacts(fleet_store(c->api->fleet));
	_cleanup_(closep) int dfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (rename(c->rq->upload_path, path) < 0 || dfd < 0 || fsync(dfd) < 0)
		return err_errno(e, ERR_IO, errno, "store the artifact");
	chmod(path, 0400);
	return 0;
}

static int apply_put(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct put *p = data;
	int r;

	/* Deletions are the writer's too: none comes between this look and the row. */
	if (access(p->path, R_OK) < 0)
		return err_set(e, ERR_CONFLICT,
			"the artifact was deleted while it was sent: send it again");
	r = check_name(tx, &p->a, p->who, e);
	if (r == 0)
		r = artifacts_add(tx, &p->a, &p->created, e);
	return r < 0 ? r : artifacts_get(tx, p->a.sha256, ret, e);
}

/* As it would be on a disk, and shown in one line. */
static bool is_file_name(const char *name)
{
	if (!*name || strlen(name) > 200 || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '/')
			return false;
	return is_utf8(name, strlen(name));
}

static int read_known(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return artifacts_get(d, request_param(c->rq, "sha256"), ret, e);
}

static int apply_name(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct put *p = data;
	json_int_t size;
	int r = artifacts_get(tx, p->a.sha256, ret, e);

	if (r < 0)
		return r;
	size = json_integer_value(json_object_get(*ret, "size"));
	*ret = (json_decref(*ret), NULL);
	if (size != p->a.size_bytes)
		return err_set(e, ERR_CONFLICT,
			"the file with this SHA-256 has %lld bytes, and Content-Range says %lld",
			(long long)size, (long long)p->a.size_bytes);
	r = check_name(tx, &p->a, p->who, e);
	if (r == 0)
		r = artifacts_give_name(tx, p->a.sha256, p->a.name, e);
	return r < 0 ? r : artifacts_get(tx, p->a.sha256, ret, e);
}

/* More of it is to come. One who only asks may learn that it is there already: the name leads to it then, as if it had been
 * sent. */
static int answer_piece(struct call *c, struct put *p, struct err *e)
{
	struct change ch = {.apply = apply_name,
		.data = p,
		.status = 200,
		.audit = "artifact.put",
		.target = p->a.sha256};
	json_t *known = NULL;
	int r = c->rq->upload_piece.asks ? api_read(c, read_known, &known, e) : 0;

	if (known && request_query(c->rq, "name")) {
		json_decref(known);
		p->a.size_bytes = (int64_t)c->rq->upload_piece.total;
		return api_change(c, &ch, e);
	}
	if (known) {
		response_json(c->rs, 200, known);
		return 0;
	}
	if (r < 0 && r != -ERR_NOT_FOUND)
		return r;
	if (c->rq->upload_bytes)
		response_header(c->rs, "Range", "bytes=0-%llu",
			(unsigned long long)c->rq->upload_bytes - 1);
	response_json(c->rs, 202,
		json_pack("{s:s, s:I, s:I}", "sha256", p->a.sha256, "received",
			(json_int_t)c->rq->upload_bytes, "size",
			(json_int_t)c->rq->upload_piece.total));
	return 0;
}

/* Before its file is kept: again in the transaction. */
static int read_name_is_free(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	const char *name = request_query(c->rq, "name");
	const struct artifact a = {.sha256 = c->rq->upload_sha256, .name = name ? name : ""};

	*ret = NULL;
	return check_name(d, &a, c->who, e);
}

static int put_artifact(struct call *c, struct err *e)
{
	json_t *nothing;
	const char *sha = request_param(c->rq, "sha256");
	const char *name = request_query(c->rq, "name");
	_cleanup_(put_done) struct put p = {.a = {.sha256 = sha,
						    .name = name ? name : sha,
						    .size_bytes = (int64_t)c->rq->upload_bytes,
						    .created_by = c->who->name},
		.who = c->who};
	struct change ch = {.apply = apply_put,
		.data = &p,
		.status = 200,
		.location = "/api/v1/artifacts/%s",
		.location_key = "sha256",
		.audit = "artifact.put",
		.target = sha};
	int r;

	if (!is_sha256_hex(sha))
		return err_set(
			e, ERR_INVALID, "the path must end in the SHA-256 in lower-case hex");
	if (name && !is_file_name(name))
		return err_set(
			e, ERR_INVALID, "'name' is a file name in UTF-8 of at most 200 bytes");
	if (!c->rq->upload_sha256[0])
		return answer_piece(c, &p, e);
	if (strcmp(sha, c->rq->upload_sha256) != 0)
		return err_set(e, ERR_VERIFY_MISMATCH, "the body's SHA-256 is %s, the path says %s",
			c->rq->upload_sha256, sha);
	p.path = store_artifact(fleet_store(c->api->fleet), sha);
	r = api_read(c, read_name_is_free, &nothing, e);
	if (r == 0)
		r = check_image(c, &p, e);
	if (r == 0)
		r = keep_file(c, p.path, e);
	if (r == 0)
		r = api_change(c, &ch, e);
	if (r == 0 && p.created) {
		artifact_quota_add(&c->api->quota, c->rq->upload_bytes);
		c->rs->status = 201;
	}
	return r;
}

/* Set aside in the writer's transaction, so that no upload of the same bytes comes between; gone
 * once the deletion is on disk. What a crash leaves is settled at the next start. */
struct removal {
	const char *sha256, *by;
	char *path, *aside;
	uint64_t bytes;
	struct artifact_quota *quota;
	bool moved;
};

static int apply_delete(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct removal *m = data;
	json_t *row = NULL;
	int r = artifacts_get(tx, m->sha256, &row, e);

	if (r == 0)
		m->bytes = (uint64_t)json_integer_value(json_object_get(row, "size"));
	json_decref(row);
	if (r == 0)
		r = artifacts_delete(tx, m->sha256, m->by, e);
	if (r < 0)
		return r;
	m->moved = rename(m->path, m->aside) == 0;
	if (!m->moved && errno != ENOENT)
		return err_errno(e, ERR_IO, errno, "artifact %s", m->sha256);
	*ret = json_pack("{s:s, s:b}", "sha256", m->sha256, "deleted", 1);
	return 0;
}

static void delete_done(void *data)
{
	struct removal *m = data;

	unlink(m->aside);
	artifact_quota_give(m->quota, m->bytes);
}

static int delete_artifact(struct call *c, struct err *e)
{
	const struct store *store = fleet_store(c->api->fleet);
	const char *sha = request_param(c->rq, "sha256");
	struct removal m = {.sha256 = sha, .by = c->who->name, .quota = &c->api->quota};
	struct change ch = {.apply = apply_delete,
		.committed = delete_done,
		.data = &m,
		.status = 200,
		.audit = "artifact.delete",
		.target = sha};
	int r;

	if (!is_sha256_hex(sha))
		return err_set(e, ERR_NOT_FOUND,
			"an artifact is addressed by its SHA-256 in lower-case hex");
	m.path = store_artifact(store, sha);
	m.aside = store_artifact_aside(store, sha);
	r = api_change(c, &ch, e);
	if (r < 0 && m.moved && rename(m.aside, m.path) < 0)
		log_error("artifact %s: %s", sha, strerrordesc_np(errno));
	free(m.path);
	free(m.aside);
	return r;
}

static const struct query_param query_list[] = {{"name", NULL}, QUERY_PAGE, {0}};
static const struct query_param query_put[] = {{"name", NULL}, {0}};

const struct route routes_artifacts[] = {
	{HTTP_GET, "/api/v1/artifacts", MAY_READ, ROUTE_NO_BODY, 0, get_artifacts, query_list},
	{HTTP_GET, "/api/v1/artifacts/{sha256}", MAY_READ, ROUTE_NO_BODY, 0, get_artifact},
	{HTTP_GET, "/api/v1/artifacts/{sha256}/content", MAY_READ, ROUTE_NO_BODY, 0, get_content},
	{HTTP_PUT, "/api/v1/artifacts/{sha256}", MAY_ORDER, ROUTE_UPLOAD | ROUTE_ORDERS, 0,
		put_artifact, query_put, .scope = SCOPE_OPEN},
	{HTTP_DELETE, "/api/v1/artifacts/{sha256}", MAY_WRITE, ROUTE_WHEN_HELD, 0, delete_artifact,
		NULL, FORM_NONE},
	{0},
};
