/* SPDX-License-Identifier: Apache-2.0
 *
 * The USB link through the real libusb, against umockdev: a sysfs of this test's making, and the
 * ioctls of usbfs answered by the device below. Runs under umockdev-wrapper; each test in a process
 * of its own. libusb polls busily here, so that nothing is said of its load.
 */
#include "transports/links/usb.h"

#include <errno.h>
#include <linux/usbdevice_fs.h>
#include <sys/ioctl.h>

#include "base/strbuf.h"
#include "base/thread.h"
#include "base/util.h"
#include "tests/unit/unit.h"

#include <umockdev.h> /* glib takes MIN and MAX for itself: it comes last */

#define EP_OUT 0x01
#define EP_IN  0x82

/* USB 2.0 chapter 9: a device with a DFU-like interface of two settings and one of two bulk
 * endpoints. */
static const uint8_t descriptors[] = {18, 1, 0, 2, 0, 0, 0, 64, 0x09, 0x12, 0x02, 0x00, 0x00, 0x02,
	1, 2, 3, 1,			/* the device, 1209:0002, release 2.00 */
	9, 2, 59, 0, 2, 1, 0, 0xc0, 50, /* configuration of 59 bytes, 2 interfaces */
	9, 4, 0, 0, 0, 0xfe, 1, 2, 4,	/* interface 0, setting 0 */
	9, 0x21, 0x0b, 0xff, 0, 0, 8, 0x1a, 1, 9, 4, 0, 1, 0, 0xfe, 1, 2, 5, /* setting 1 */
	9, 4, 1, 0, 2, 0xff, 0x42, 3, 0,				     /* interface 1 */
	7, 5, EP_OUT, 2, 0x00, 0x02, 0, 7, 5, EP_IN, 2, 0x00, 0x02, 0};

struct device {
	GQueue done;	  /* finished URBs */
	GQueue pending;	  /* IN that wait for data */
	struct strbuf in; /* what the device has to say */
	struct strbuf out;
	unsigned submits, zlp_flags;
	unsigned no_memory; /* so many submits are refused with ENOMEM */
	size_t largest;
	bool gone;
	int claim_errno; /* 0: each claim succeeds */
};

static UMockdevTestbed *bed;
static UMockdevIoctlBase *handler;
static struct device dev;
static struct err e;
static struct iotime soon;

static int string_of(unsigned index, uint8_t *to)
{
	static const char *const text[] = {
		NULL, "ACME", "Board", "SN-1", "@Flash /0x08000000/04*016Kg"};
	size_t n;

	if (index == 0) {
		memcpy(to, "\x04\x03\x09\x04", 4);
		return 4;
	}
	if (index >= G_N_ELEMENTS(text))
		return -EPIPE;
	n = strlen(text[index]);
	to[0] = index == 3 ? 200 : (uint8_t)(2 + 2 * n); /* one that lies about its length */
	to[1] = 3;
	for (size_t i = 0; i < n; i++) {
		to[2 + 2 * i] = (uint8_t)text[index][i];
		to[3 + 2 * i] = 0;
	}
	return (int)(2 + 2 * n);
}

/* Bytes of the data stage, or -errno. */
static int control(uint8_t *b, int len)
{
	uint8_t answer[256];
	int n;

	if (b[0] == 0x80 && b[1] == 6 && b[3] == 3)
		n = string_of(b[2], answer);
	else if (b[0] == 0x80 && b[1] == 8)
		answer[0] = 1, n = 1; /* the active configuration */
	else if (b[0] == 0xa1 && b[1] == 3)
		memcpy(answer, "\0\0\0\0\x02", 6), n = 6;
	else if (b[0] == 0x21 && b[1] == 1) {
		sb_add_n(&dev.out, b + 8, (size_t)len);
		return len;
	} else
		n = -EPIPE;
	if (n < 0)
		return n;
	n = MIN(n, len);
	memcpy(b + 8, answer, (size_t)n);
	return n;
}

static void finish(UMockdevIoctlData *ud, int status, int actual)
{
	struct usbdevfs_urb *u = (struct usbdevfs_urb *)ud->data;

	u->status = status;
	u->actual_length = actual;
	g_queue_push_tail(&dev.done, ud);
}

static void submit(UMockdevIoctlClient *c, UMockdevIoctlData *arg)
{
	UMockdevIoctlData *ud =
		umockdev_ioctl_data_resolve(arg, 0, sizeof(struct usbdevfs_urb), NULL);
	struct usbdevfs_urb *u = (struct usbdevfs_urb *)ud->data;
	UMockdevIoctlData *bd;
	int n = u->buffer_length;

	if (dev.gone || dev.no_memory) {
		int why = dev.gone ? ENODEV : ENOMEM;

		dev.no_memory -= dev.gone ? 0 : 1;
		umockdev_ioctl_data_unref(ud);
		umockdev_ioctl_client_complete(c, -1, why);
		return;
	}
	dev.submits++;
	bd = umockdev_ioctl_data_resolve(
		ud, G_STRUCT_OFFSET(struct usbdevfs_urb, buffer), (gsize)n, NULL);
	if (u->type == USBDEVFS_URB_TYPE_CONTROL) {
		n = control(bd->data, n - 8);
		finish(ud, n < 0 ? n : 0, n < 0 ? 0 : n);
	} else if (!(u->endpoint & 0x80)) {
		sb_add_n(&dev.out, bd->data, (size_t)n);
		dev.zlp_flags += u->flags & USBDEVFS_URB_ZERO_PACKET ? 1 : 0;
		dev.largest = MAX(dev.largest, (size_t)n);
		finish(ud, 0, n);
	} else if (dev.in.len) {
		n = (int)MIN((size_t)n, dev.in.len);
		memcpy(bd->data, dev.in.s, (size_t)n);
		sb_clear(&dev.in);
		finish(ud, 0, n);
	} else {
		g_queue_push_tail(&dev.pending, ud);
	}
	umockdev_ioctl_data_unref(bd);
	umockdev_ioctl_client_complete(c, 0, 0);
}

static void reap(UMockdevIoctlClient *c, UMockdevIoctlData *arg)
{
	UMockdevIoctlData *ud = g_queue_pop_head(&dev.done);
	UMockdevIoctlData *p;

	if (!ud) {
		umockdev_ioctl_client_complete(c, -1, dev.gone ? ENODEV : EAGAIN);
		return;
	}
	p = umockdev_ioctl_data_resolve(arg, 0, sizeof(gpointer), NULL);
	umockdev_ioctl_data_set_ptr(p, 0, ud);
	umockdev_ioctl_data_unref(p);
	umockdev_ioctl_data_unref(ud);
	umockdev_ioctl_client_complete(c, 0, 0);
}

static void discard(UMockdevIoctlClient *c, UMockdevIoctlData *arg)
{
	gulong address = *(gulong *)arg->data;

	for (GList *l = dev.pending.head; l; l = l->next) {
		UMockdevIoctlData *ud = l->data;

		if (ud->client_addr != address)
			continue;
		g_queue_delete_link(&dev.pending, l);
		finish(ud, -ENOENT, 0);
		umockdev_ioctl_client_complete(c, 0, 0);
		return;
	}
	umockdev_ioctl_client_complete(c, -1, EINVAL);
}

static gboolean on_ioctl(UMockdevIoctlBase *h, UMockdevIoctlClient *c, gpointer unused)
{
	gulong request = umockdev_ioctl_client_get_request(c);
	UMockdevIoctlData *arg = umockdev_ioctl_client_get_arg(c);
	UMockdevIoctlData *r;

	switch (request) {
	case USBDEVFS_GET_CAPABILITIES:
		r = umockdev_ioctl_data_resolve(arg, 0, 4, NULL);
		*(guint32 *)r->data = USBDEVFS_CAP_BULK_SCATTER_GATHER |
				      USBDEVFS_CAP_NO_PACKET_SIZE_LIM |
				      USBDEVFS_CAP_REAP_AFTER_DISCONNECT | USBDEVFS_CAP_ZERO_PACKET;
		umockdev_ioctl_data_unref(r);
		break;
	case USBDEVFS_CONNECTINFO:
		r = umockdev_ioctl_data_resolve(arg, 0, sizeof(struct usbdevfs_connectinfo), NULL);
		((struct usbdevfs_connectinfo *)r->data)->devnum = 11;
		umockdev_ioctl_data_unref(r);
		break;
	case USBDEVFS_CLAIMINTERFACE:
	case USBDEVFS_DISCONNECT_CLAIM:
		if (dev.claim_errno) {
			umockdev_ioctl_client_complete(c, -1, dev.claim_errno);
			return TRUE;
		}
		break;
	case USBDEVFS_RELEASEINTERFACE:
	case USBDEVFS_CLEAR_HALT:
	case USBDEVFS_SETINTERFACE:
		break;
	case USBDEVFS_GETDRIVER:
		umockdev_ioctl_client_complete(c, -1, ENODATA);
		return TRUE;
	case USBDEVFS_SUBMITURB:
		submit(c, arg);
		return TRUE;
	case USBDEVFS_REAPURB:
	case USBDEVFS_REAPURBNDELAY:
		reap(c, arg);
		return TRUE;
	case USBDEVFS_DISCARDURB:
		discard(c, arg);
		return TRUE;
	default:
		umockdev_ioctl_client_complete(c, -1, ENOTTY);
		return TRUE;
	}
	umockdev_ioctl_client_complete(c, 0, 0);
	return TRUE;
}

/* In socket n of the bus; pid is what sysfs says, the descriptors always say 0002. */
static void plug(unsigned n, const char *pid, const char *serial)
{
	char hex[2 * sizeof descriptors + 1];
	GError *ge = NULL;

	for (size_t i = 0; i < sizeof descriptors; i++)
		snprintf(hex + 2 * i, 3, "%02X", descriptors[i]);

	_cleanup_(freep) char *text = xasprintf(
		"P: /devices/platform/hcd/usb1/1-%1$u\n"
		"N: bus/usb/001/%2$03u=%5$s\n"
		"E: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nE: DEVNAME=/dev/bus/usb/001/%2$03u\n"
		"A: busnum=1\\n\nA: devnum=%2$u\\n\nA: idVendor=1209\\n\nA: idProduct=%3$s\\n\n"
		"A: bcdDevice=0200\\n\nA: bMaxPacketSize0=64\\n\nA: serial=%4$s\\n\n"
		"A: bConfigurationValue=1\\n\n",
		n, n + 10, pid, serial, hex);
	_cleanup_(freep) char *node = xasprintf("/dev/bus/usb/001/%03u", n + 10);

	ck_assert(umockdev_testbed_attach_ioctl(bed, node, handler, NULL));
	ck_assert_msg(
		umockdev_testbed_add_from_string(bed, text, &ge), "%s", ge ? ge->message : "");
}

static void setup(void)
{
	bed = umockdev_testbed_new();
	ck_assert_msg(umockdev_in_mock_environment(), "run under umockdev-wrapper");
	handler = umockdev_ioctl_base_new();
	g_object_connect(handler, "signal-after::handle-ioctl", on_ioctl, NULL, NULL);
	dev = (struct device){0};
	g_queue_init(&dev.done);
	g_queue_init(&dev.pending);
	soon = (struct iotime){now_us() + 10 * US_PER_S, NULL};
	plug(1, "0002", "SN-1");
}

static void teardown(void)
{
	g_object_unref(handler);
	g_object_unref(bed);
	sb_done(&dev.in);
	sb_done(&dev.out);
}

static struct usb *opened(void)
{
	struct usb *u = NULL;

	ck_assert_msg(usb_open("usb:1-1", &soon, &u, &e) == 0, "%s", e.msg);
	return u;
}

START_TEST(a_device_is_found_by_port_by_ids_and_by_node)
{
	static const char *const addresses[] = {"usb:1-1", "usb:1-1:1", "usb:1209:0002",
		"usb:1209:0002/SN-1", "usb:/dev/bus/usb/001/011"};

	for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
		struct usb *u = NULL;

		ck_assert_msg(usb_open(addresses[i], &soon, &u, &e) == 0, "%s", e.msg);
		ck_assert_str_eq(usb_facts(u)->port, "1-1");
		ck_assert_str_eq(usb_facts(u)->serial, "SN-1");
		ck_assert_uint_eq(usb_facts(u)->release, 0x0200);
		ck_assert_int_eq(usb_facts(u)->interface, i == 1 ? 1 : -1);
		usb_close(u);
	}
}
END_TEST

START_TEST(who_is_not_there_is_gone_and_two_of_a_kind_are_refused)
{
	struct usb *u = NULL;
	struct usb_facts f;

	ck_assert_int_eq(usb_open("usb:1-7", &soon, &u, &e), -ERR_DEVICE_GONE);
	ck_assert_int_eq(usb_look("usb:1209:0003", &f, &e), -ERR_DEVICE_GONE);
	ck_assert_int_eq(usb_look("usb:1209:0002/SN-2", &f, &e), -ERR_DEVICE_GONE);
	ck_assert_int_eq(usb_open("usb:nonsense", &soon, &u, &e), -ERR_INVALID);
	plug(2, "0002", "SN-1");
	ck_assert_int_eq(usb_look("usb:1209:0002/SN-1", &f, &e), -ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(e.msg, "1-1"));
	ck_assert_ptr_nonnull(strstr(e.msg, "1-2"));
}
END_TEST

/* The node was given to another device between the look into sysfs and the open. */
START_TEST(another_device_behind_the_node_is_seen)
{
	struct usb *u = NULL;

	plug(3, "0009", "SN-9");
	ck_assert_int_eq(usb_open("usb:1-3", &soon, &u, &e), -ERR_DEVICE_GONE);
}
END_TEST

static void *configure_soon(void *data)
{
	struct timespec t = {.tv_nsec = 60 * 1000 * 1000};

	nanosleep(&t, NULL);
	umockdev_testbed_set_attribute(bed, data, "bConfigurationValue", "1\n");
	return NULL;
}

/* libusb takes the first configuration for the active one, and no claim of it succeeds. */
START_TEST(a_device_that_is_not_configured_yet_is_waited_for)
{
	char path[] = "/sys/devices/platform/hcd/usb1/1-1";
	struct iotime short_time = {now_us() + 100 * US_PER_MS, NULL};
	struct usb *u = NULL;
	pthread_t t;

	umockdev_testbed_set_attribute(bed, path, "bConfigurationValue", "\n");
	ck_assert_int_eq(usb_open("usb:1-1", &short_time, &u, &e), -ERR_TIMEOUT);
	ck_assert_int_eq(pthread_create(&t, NULL, configure_soon, path), 0);
	u = opened();
	pthread_join(t, NULL);
	usb_close(u);
}
END_TEST

START_TEST(an_interface_that_went_with_its_configuration_is_gone)
{
	struct usb *u = opened();

	dev.claim_errno = EINVAL;
	ck_assert_int_eq(usb_claim(u, 1, &e), -ERR_DEVICE_GONE);
	usb_close(u);
}
END_TEST

START_TEST(interfaces_settings_and_endpoints_are_listed)
{
	struct usb *u = opened();
	const struct usb_interface *i;

	ck_assert_uint_eq(usb_interfaces(u, &i), 3);
	ck_assert_uint_eq(i[0].cls, 0xfe);
	ck_assert_uint_eq(i[0].extra_len, 9);
	ck_assert_uint_eq(i[0].extra[1], 0x21);
	ck_assert_uint_eq(i[1].alt, 1);
	ck_assert_uint_eq(i[1].string, 5);
	ck_assert_uint_eq(i[2].number, 1);
	ck_assert_uint_eq(i[2].eps, 2);
	ck_assert_uint_eq(i[2].ep[1].address, EP_IN);
	ck_assert_int_eq(i[2].ep[1].type, USB_EP_BULK);
	ck_assert_uint_eq(i[2].ep[1].max_packet, 512);
	usb_close(u);
}
END_TEST

START_TEST(a_string_whose_length_lies_is_cut_to_what_came)
{
	struct usb *u = opened();
	char text[64];

	ck_assert_int_eq(usb_string(u, 3, text, sizeof text, &soon, &e), 0);
	ck_assert_str_eq(text, "SN-1");
	ck_assert_int_eq(usb_string(u, 0, text, sizeof text, &soon, &e), 0);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(usb_string(u, 9, text, sizeof text, &soon, &e), -ERR_DEVICE_REFUSED);
	usb_close(u);
}
END_TEST

START_TEST(control_requests_go_both_ways_and_a_stall_is_a_refusal)
{
	struct usb *u = opened();
	uint8_t status[6];
	uint16_t n = 0;

	ck_assert_int_eq(usb_claim(u, 0, &e), 0);
	ck_assert_int_eq(usb_set_alt(u, 0, 1, &e), 0);
	ck_assert_int_eq(usb_control(u, 0xa1, 3, 0, 0, status, 6, &n, &soon, &e), 0);
	ck_assert_uint_eq(n, 6);
	ck_assert_uint_eq(status[4], 2);
	ck_assert_int_eq(usb_control(u, 0x21, 1, 0, 0, (void *)"block", 5, NULL, &soon, &e), 0);
	ck_assert_mem_eq(dev.out.s, "block", 5);
	ck_assert_int_eq(
		usb_control(u, 0xc0, 0x99, 0, 0, status, 6, &n, &soon, &e), -ERR_DEVICE_REFUSED);
	usb_close(u);
}
END_TEST

START_TEST(an_interface_that_is_held_says_so)
{
	struct usb *u = opened();

	dev.claim_errno = EBUSY;
	ck_assert_int_eq(usb_claim(u, 1, &e), -ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(e.msg, "held by"));
	usb_close(u);
}
END_TEST

START_TEST(bulk_transfers_go_both_ways)
{
	struct usb *u = opened();
	char buf[512];
	size_t n;

	memset(buf, 'x', sizeof buf);
	ck_assert_int_eq(usb_claim(u, 1, &e), 0);
	ck_assert_int_eq(usb_write(u, EP_OUT, buf, 512, false, &soon, &e), 0);
	ck_assert_uint_eq(dev.zlp_flags, 0);
	ck_assert_int_eq(usb_write(u, EP_OUT, buf, 512, true, &soon, &e), 0);
	ck_assert_uint_eq(dev.zlp_flags, 1);
	ck_assert_uint_eq(dev.out.len, 1024);
	sb_add(&dev.in, "OKAY");
	ck_assert_int_eq(usb_read(u, EP_IN, buf, sizeof buf, &n, &soon, &e), 0);
	ck_assert_uint_eq(n, 4);
	ck_assert_mem_eq(buf, "OKAY", 4);
	usb_close(u);
}
END_TEST

START_TEST(silence_ends_with_the_deadline_and_the_device_can_be_used_on)
{
	struct usb *u = opened();
	struct iotime it = {now_us() + 50 * US_PER_MS, NULL};
	char buf[512];
	size_t n = 7;

	ck_assert_int_eq(usb_read(u, EP_IN, buf, sizeof buf, &n, &it, &e), -ERR_TIMEOUT);
	ck_assert_uint_eq(n, 0);
	sb_add(&dev.in, "late");
	ck_assert_int_eq(usb_read(u, EP_IN, buf, sizeof buf, &n, &soon, &e), 0);
	ck_assert_uint_eq(n, 4);
	usb_close(u);
}
END_TEST

static void *fire(void *c)
{
	cancel_fire(c, ERR_ABORTED);
	return NULL;
}

START_TEST(a_cancel_ends_a_wait)
{
	struct usb *u = opened();
	struct cancel c;
	struct iotime it = {NO_DEADLINE, &c};
	pthread_t t;
	char buf[512];
	size_t n;

	ck_assert_int_eq(cancel_init(&c, &e), 0);
	ck_assert_int_eq(thread_start(&t, "fire", fire, &c, &e), 0);
	ck_assert_int_eq(usb_read(u, EP_IN, buf, sizeof buf, &n, &it, &e), -ERR_ABORTED);
	pthread_join(t, NULL);
	cancel_done(&c);
	usb_close(u);
}
END_TEST

START_TEST(a_pulled_device_is_gone)
{
	struct usb *u = opened();
	char buf[512];
	size_t n;

	dev.gone = true;
	ck_assert_int_eq(usb_read(u, EP_IN, buf, sizeof buf, &n, &soon, &e), -ERR_DEVICE_GONE);
	ck_assert_int_eq(usb_write(u, EP_OUT, buf, 4, false, &soon, &e), -ERR_DEVICE_GONE);
	usb_close(u);
}
END_TEST

static int bytes_at(void *data, uint64_t offset, void *buf, size_t size, struct err *err)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)buf)[i] = (uint8_t)((offset + i) * 2654435761u >> 13);
	return 0;
}

static uint64_t told_last;

static void told(void *data, uint64_t done)
{
	ck_assert_uint_gt(done, told_last);
	told_last = done;
}

static void check_stream(uint64_t total)
{
	ck_assert_uint_eq(dev.out.len, total);
	ck_assert_uint_eq(told_last, total);
	ck_assert_uint_eq(dev.zlp_flags, 0);

	_cleanup_(freep) uint8_t *want = malloc(total);

	bytes_at(NULL, 0, want, total, NULL);
	ck_assert(!memcmp(dev.out.s, want, total));
}

START_TEST(a_stream_is_whole_and_in_order)
{
	struct usb *u = opened();
	uint64_t total = 1024 * 1024 + 7;

	told_last = 0;
	ck_assert_int_eq(usb_stream(u, EP_OUT, total, bytes_at, NULL, told, &soon, &e), 0);
	check_stream(total);
	ck_assert_uint_gt(dev.submits, 8);
	usb_close(u);
}
END_TEST

START_TEST(a_kernel_without_memory_gets_smaller_chunks)
{
	struct usb *u = opened();
	uint64_t total = 256 * 1024;

	told_last = 0;
	dev.no_memory = 2;
	ck_assert_int_eq(usb_stream(u, EP_OUT, total, bytes_at, NULL, told, &soon, &e), 0);
	check_stream(total);
	ck_assert_uint_eq(dev.largest, 32 * 1024);
	usb_close(u);
}
END_TEST

static int no_bytes(void *data, uint64_t offset, void *buf, size_t size, struct err *err)
{
	if (offset)
		return err_set(err, ERR_IMAGE_INVALID, "the source ended");
	memset(buf, 0, size);
	return 0;
}

START_TEST(a_source_that_fails_ends_the_stream)
{
	struct usb *u = opened();

	ck_assert_int_eq(usb_stream(u, EP_OUT, 1 << 20, no_bytes, NULL, NULL, &soon, &e),
		-ERR_IMAGE_INVALID);
	usb_close(u);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("usb");
	TCase *t = tcase_create("usb");

	tcase_set_timeout(t, 30); /* umockdev answers each ioctl through a thread of its own */
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_device_is_found_by_port_by_ids_and_by_node);
	tcase_add_test(t, who_is_not_there_is_gone_and_two_of_a_kind_are_refused);
	tcase_add_test(t, another_device_behind_the_node_is_seen);
	tcase_add_test(t, a_device_that_is_not_configured_yet_is_waited_for);
	tcase_add_test(t, an_interface_that_went_with_its_configuration_is_gone);
	tcase_add_test(t, a_device_that_is_not_configured_yet_is_waited_for);
	tcase_add_test(t, an_interface_that_went_with_its_configuration_is_gone);
	tcase_add_test(t, interfaces_settings_and_endpoints_are_listed);
	tcase_add_test(t, a_string_whose_length_lies_is_cut_to_what_came);
	tcase_add_test(t, control_requests_go_both_ways_and_a_stall_is_a_refusal);
	tcase_add_test(t, an_interface_that_is_held_says_so);
	tcase_add_test(t, bulk_transfers_go_both_ways);
	tcase_add_test(t, silence_ends_with_the_deadline_and_the_device_can_be_used_on);
	tcase_add_test(t, a_cancel_ends_a_wait);
	tcase_add_test(t, a_pulled_device_is_gone);
	tcase_add_test(t, a_stream_is_whole_and_in_order);
	tcase_add_test(t, a_kernel_without_memory_gets_smaller_chunks);
	tcase_add_test(t, a_source_that_fails_ends_the_stream);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
