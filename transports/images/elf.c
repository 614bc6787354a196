/* SPDX-License-Identifier: Apache-2.0
 *
 * ELF (System V gABI, chapter 5): the bytes of PT_LOAD segments at their physical addresses, which
 * is where they lie in flash; .data has another address in RAM. What p_memsz is longer than
 * p_filesz is zeroed by the program itself. The only door to libelf.
 */
#include <gelf.h>

#include "transports/images/image_impl.h"

struct elf_file {
	struct image_source *s;
	Elf *elf;
	GElf_Ehdr head;
	size_t count; /* of program headers */
	bool virtual; /* there are no physical addresses */
};

static const struct {
	uint16_t machine;
	const char *name;
} machines[] = {
	{EM_386, "x86"},
	{EM_MIPS, "MIPS"},
	{EM_PPC, "PowerPC"},
	{EM_ARM, "ARM"},
	{EM_X86_64, "x86-64"},
	{EM_AVR, "AVR"},
	{EM_XTENSA, "Xtensa"},
	{EM_MSP430, "MSP430"},
	{EM_AARCH64, "AArch64"},
	{EM_RISCV, "RISC-V"},
};

static const char *machine_name(uint16_t m)
{
	for (size_t i = 0; i < ARRAY_LEN(machines); i++)
		if (machines[i].machine == m)
			return machines[i].name;
	return "unknown";
}

/* What only a program for an operating system has. A firmware may have such marks by the way that
 * it was linked (s390-ccw.img of QEMU): then the recipe declares that it is an ELF file on purpose.
 */
static int hosted(struct elf_file *x, uint64_t where, const char *mark, struct err *e)
{
	if (x->s->opts->for_store) {
		image_note(x->s->image,
			"a program for an operating system (%s): no step flashes it unless it declares 'format: elf'",
			mark);
		return 0;
	}
	if (x->s->opts->format != IMAGE_ELF)
		return image_malformed(x->s, where, e,
			"a program for an operating system (%s); 'format: elf' takes it as firmware",
			mark);
	image_note(x->s->image,
		"marked as a program for an operating system (%s), taken as declared", mark);
	return 0;
}

static int check_kind(struct elf_file *x, struct err *e)
{
	uint16_t want = x->s->opts->elf_machine;

	if (want && x->head.e_machine != want)
		return image_malformed(x->s, 18, e, "is for machine %u (%s), not %u (%s)",
			x->head.e_machine, machine_name(x->head.e_machine), want,
			machine_name(want));
	switch (x->head.e_type) {
	case ET_EXEC:
		return 0;
	case ET_DYN:
		image_note(x->s->image, "position-independent (ET_DYN)");
		return 0;
	case ET_REL:
		return image_malformed(
			x->s, 16, e, "an object file (ET_REL): it was not linked yet");
	default:
		return image_malformed(x->s, 16, e, "e_type %u is not a program", x->head.e_type);
	}
}

/* libelf looks at the table as well; here it is said what is wrong with it. */
static int check_table(struct elf_file *x, struct err *e)
{
	bool wide = x->head.e_ident[EI_CLASS] == ELFCLASS64;
	size_t entry = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	if (elf_getphdrnum(x->elf, &x->count) < 0)
		return image_malformed(x->s, 0, e, "program headers: %s", elf_errmsg(-1));
	if (x->count == 0)
		return image_malformed(x->s, 0, e, "there are no program headers");
	if (x->head.e_phentsize != entry)
		return image_malformed(x->s, 0, e, "program headers of %u bytes, %zu expected",
			x->head.e_phentsize, entry);
	if (x->head.e_phoff > x->s->n || x->count > (x->s->n - x->head.e_phoff) / entry)
		return image_malformed(x->s, x->head.e_phoff, e,
			"%zu program headers do not fit the file of %zu bytes: it is cut off",
			x->count, x->s->n);
	return 0;
}

/* 1 with a header of a segment that has bytes, 0 for another, or an error. */
static int get(struct elf_file *x, size_t i, GElf_Phdr *ph, struct err *e)
{
	if (!gelf_getphdr(x->elf, (int)i, ph))
		return image_malformed(
			x->s, x->head.e_phoff, e, "program header %zu: %s", i, elf_errmsg(-1));
	return ph->p_type == PT_LOAD && ph->p_filesz > 0;
}

static Elf_Data *data_of(struct elf_file *x, const GElf_Phdr *ph, Elf_Type type)
{
	if (ph->p_offset > x->s->n || ph->p_filesz > x->s->n - ph->p_offset || ph->p_filesz == 0)
		return NULL;
	return elf_getdata_rawchunk(x->elf, (int64_t)ph->p_offset, ph->p_filesz, type);
}

static const char *dynamic_mark(struct elf_file *x, const GElf_Phdr *ph)
{
	Elf_Data *d = data_of(x, ph, ELF_T_DYN);
	GElf_Dyn dyn;

	for (int i = 0; d && gelf_getdyn(d, i, &dyn); i++) {
		if (dyn.d_tag == DT_NULL)
			break;
		if (dyn.d_tag == DT_NEEDED)
			return "it needs shared libraries, DT_NEEDED";
		if (dyn.d_tag == DT_SONAME)
			return "a shared library, DT_SONAME";
		if (dyn.d_tag == DT_PLTRELSZ && dyn.d_un.d_val > 0)
			return "a loader has to bind its calls, DT_JMPREL";
	}
	return NULL;
}

/* "GNU" with type 1 names the system that a C library was built for; "Go" is the linker's of that
 * language. */
static const char *note_mark(struct elf_file *x, const GElf_Phdr *ph)
{
	Elf_Data *d = data_of(x, ph, ELF_T_NHDR);
	size_t at = 0, name = 0, desc = 0;
	GElf_Nhdr head;

	while (d && (at = gelf_getnote(d, at, &head, &name, &desc)) > 0) {
		const char *owner = (const char *)d->d_buf + name;

		if (head.n_namesz == 4 && !memcmp(owner, "GNU", 4) && head.n_type == NT_GNU_ABI_TAG)
			return "a note names its system, NT_GNU_ABI_TAG";
		if ((head.n_namesz == 3 || head.n_namesz == 4) && !memcmp(owner, "Go", 3))
			return "a program in Go";
	}
	return NULL;
}

static const char *mark_of(struct elf_file *x, const GElf_Phdr *ph)
{
	switch (ph->p_type) {
	case PT_INTERP:
		return "PT_INTERP";
	case PT_DYNAMIC:
		return dynamic_mark(x, ph);
	case PT_NOTE:
		return note_mark(x, ph);
	default:
		return NULL;
	}
}

/* No controller is of that kind; ELFOSABI_NONE and the machine's own are those of firmware. */
static const char *head_mark(const struct elf_file *x)
{
	if (x->head.e_machine == EM_X86_64)
		return "it is for x86-64";
	if (x->head.e_ident[EI_OSABI] != ELFOSABI_NONE &&
		x->head.e_ident[EI_OSABI] <= ELFOSABI_OPENBSD)
		return "EI_OSABI names one";
	return NULL;
}

static int check_marks(struct elf_file *x, struct err *e)
{
	for (size_t i = 0; i < x->count; i++) {
		GElf_Phdr ph;
		int r = get(x, i, &ph, e);
		const char *mark = r < 0 ? NULL : mark_of(x, &ph);

		if (r < 0)
			return r;
		if (mark)
			return hosted(x, ph.p_offset, mark, e);
	}
	return head_mark(x) ? hosted(x, 0, head_mark(x), e) : 0;
}

/* Some linkers leave all physical addresses 0. */
static int look_at_addresses(struct elf_file *x, struct err *e)
{
	bool physical = false;
	bool virtual = false;

	for (size_t i = 0; i < x->count; i++) {
		GElf_Phdr ph;
		int r = get(x, i, &ph, e);

		if (r < 0)
			return r;
		physical |= r && ph.p_paddr;
		virtual |= r && ph.p_vaddr;
	}
	x->virtual = virtual && !physical;
	if (x->virtual)
		image_note(x->s->image, "all physical addresses are 0: the virtual ones are used");
	return 0;
}

static int add(struct elf_file *x, size_t i, const GElf_Phdr *ph, struct err *e)
{
	if (ph->p_offset > x->s->n || ph->p_filesz > x->s->n - ph->p_offset)
		return image_malformed(x->s, ph->p_offset, e,
			"segment %zu of %llu bytes runs past the file of %zu bytes: it is cut off",
			i, (unsigned long long)ph->p_filesz, x->s->n);
	if (ph->p_filesz > ph->p_memsz)
		return image_malformed(x->s, ph->p_offset, e,
			"segment %zu has %llu bytes for %llu bytes of memory", i,
			(unsigned long long)ph->p_filesz, (unsigned long long)ph->p_memsz);
	if (ph->p_offset == 0)
		image_note(x->s->image, "segment %zu holds the ELF header itself", i);
	return image_add(x->s, 0, x->virtual ? ph->p_vaddr : ph->p_paddr,
		x->s->bytes + ph->p_offset, ph->p_filesz, ph->p_offset, e);
}

static int read_segments(struct elf_file *x, struct err *e)
{
	int r = look_at_addresses(x, e);

	for (size_t i = 0; r == 0 && i < x->count; i++) {
		GElf_Phdr ph;

		r = get(x, i, &ph, e);
		if (r > 0)
			r = add(x, i, &ph, e);
	}
	return r;
}

int image_read_elf(struct image_source *s, struct err *e)
{
	struct elf_file x = {.s = s};
	int r;

	elf_version(EV_CURRENT);
	/* It takes a char *, and writes nothing. */
	x.elf = elf_memory((char *)s->bytes, s->n);
	if (!x.elf || elf_kind(x.elf) != ELF_K_ELF || !gelf_getehdr(x.elf, &x.head)) {
		r = image_malformed(s, 0, e, "a damaged ELF header: %s", elf_errmsg(-1));
		elf_end(x.elf);
		return r;
	}
	s->limit = x.head.e_ident[EI_CLASS] == ELFCLASS64 ? UINT64_MAX : 1ull << 32;
	r = check_kind(&x, e);
	if (r == 0)
		r = check_table(&x, e);
	if (r == 0)
		r = check_marks(&x, e);
	if (r == 0)
		r = read_segments(&x, e);
	s->image->has_entry = x.head.e_entry != 0;
	s->image->entry = x.head.e_entry;
	elf_end(x.elf);
	return r;
}
