/*
 * Moves its own pages from one NUMA node to another with move_pages(2), so that there is something to record.
 *
 *     gcc -O2 -Wall -Wextra -pthread -o move_own_pages move_own_pages.c
 *     ./move_own_pages --status
 *     ./move_own_pages --pages 4 --spin 3
 *
 * Threads of this process may spin or write meanwhile, and children may map the same pages.  A thread that writes
 * counts its writes, and at the end the pages must hold that count: a write lost on the way would be seen.
 * The system calls are made directly, so that no library is needed.
 *
 * Exit code: 0 moved (or queried), 1 not all pages moved or a write was lost, 2 bad usage, 3 not possible here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOVED = 0, NOT_ALL = 1, USAGE = 2, NOT_HERE = 3 };
enum { MOST_PAGES = 1 << 20, MOST_OTHERS = 64, MOST_NODES = 64, HUGE = 2 << 20 };

/* linux/mempolicy.h, which libnuma's header would bring */
enum { BIND = 2, MOVE_OWN = 1 << 1, MOVE_SHARED = 1 << 2 };

void mark(int fd, const char *word);

static struct {
	long pages, spin, write, children, from, to, times;
	bool huge, status, mark;
} ask = { .pages = 4, .from = -1, .to = -1, .times = 1 };

static long page_size;		/* of what is moved as one: 4 KiB, or 2 MiB */
static char *region;
static atomic_int ready;
static atomic_bool over;
static atomic_ulong written[MOST_OTHERS];	/* rounds that a writing thread has finished */

static _Noreturn void stop(int code, const char *format, ...)
{
	va_list words;

	fputs("move_own_pages: ", stderr);
	va_start(words, format);
	vfprintf(stderr, format, words);
	va_end(words);
	fputc('\n', stderr);
	exit(code);
}

static void help(void)
{
	puts("usage: move_own_pages [OPTION]...\n"
	     "Move pages of this process from one NUMA node to another with move_pages(2).\n\n"
	     "  --pages N      how many pages (4; with --huge, of 2 MiB)\n"
	     "  --huge         transparent huge pages\n"
	     "  --spin N       N more threads that spin on CPUs of their own and touch no page\n"
	     "  --write N      N more threads that write to every page meanwhile\n"
	     "  --children N   N children that map the same pages (needs CAP_SYS_NICE)\n"
	     "  --from NODE    where the pages are first (the first node that is online)\n"
	     "  --to NODE      where they go (the second)\n"
	     "  --times N      so many calls of move_pages, to and fro (1)\n"
	     "  --mark         write BEGIN and END into the kernel's trace around them (needs root)\n"
	     "  --status       move nothing; say on which nodes the pages are\n"
	     "  --help         this text\n\n"
	     "Exit code: 0 moved (or queried), 1 not all pages moved or a write was lost, 2 bad usage,\n"
	     "3 not possible on this machine.");
}

static long number(const char *name, const char *text, long least, long most)
{
	char *end;
	long it;

	errno = 0;
	it = strtol(text, &end, 10);
	if (errno || end == text || *end || it < least || it > most)
		stop(USAGE, "--%s %s is not allowed: a whole number, %ld to %ld", name, text, least, most);
	return it;
}

static void options(int argc, char **argv)
{
	enum { PAGES = 1, SPIN, WRITE, CHILDREN, FROM, TO, TIMES, HUGE_, STATUS, MARK, HELP };
	static const struct option known[] = {
		{ "pages", required_argument, NULL, PAGES }, { "spin", required_argument, NULL, SPIN },
		{ "write", required_argument, NULL, WRITE }, { "children", required_argument, NULL, CHILDREN },
		{ "from", required_argument, NULL, FROM }, { "to", required_argument, NULL, TO },
		{ "times", required_argument, NULL, TIMES }, { "huge", no_argument, NULL, HUGE_ },
		{ "status", no_argument, NULL, STATUS }, { "mark", no_argument, NULL, MARK },
		{ "help", no_argument, NULL, HELP }, { NULL, 0, NULL, 0 },
	};
	int it;

	opterr = 0;
	while ((it = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (it) {
		case PAGES: ask.pages = number("pages", optarg, 1, MOST_PAGES); break;
		case SPIN: ask.spin = number("spin", optarg, 0, MOST_OTHERS / 2); break;
		case WRITE: ask.write = number("write", optarg, 0, MOST_OTHERS / 2); break;
		case CHILDREN: ask.children = number("children", optarg, 0, MOST_OTHERS); break;
		case FROM: ask.from = number("from", optarg, 0, MOST_NODES - 1); break;
		case TO: ask.to = number("to", optarg, 0, MOST_NODES - 1); break;
		case TIMES: ask.times = number("times", optarg, 1, 1000000); break;
		case HUGE_: ask.huge = true; break;
		case STATUS: ask.status = true; break;
		case MARK: ask.mark = true; break;
		case HELP: help(); exit(MOVED);
		default: stop(USAGE, "%s is not known, or lacks its value: see --help", argv[optind - 1]);
		}
	}
	if (optind < argc)
		stop(USAGE, "'%s' is no option: see --help", argv[optind]);
	if (ask.write && ask.children)
		stop(USAGE, "--write and --children: who writes to a shared page gets one of its own; leave one of them away");
	if (ask.huge && ask.pages > 1024)
		stop(USAGE, "--pages %ld of 2 MiB are more than 2 GiB: at most 1024", ask.pages);
}

/* The nodes that are online, from text such as "0-1,4"; returns how many. */
static int online(int *nodes)
{
	FILE *file = fopen("/sys/devices/system/node/online", "r");
	int count = 0, first, last;
	char after;

	if (!file)
		stop(NOT_HERE, "this kernel knows no NUMA nodes: /sys/devices/system/node/online: %s", strerror(errno));
	while (count < MOST_NODES && fscanf(file, "%d", &first) == 1) {
		last = first;
		after = (char)fgetc(file);
		if (after == '-' && fscanf(file, "%d%c", &last, &after) < 1)
			break;
		for (; first <= last && count < MOST_NODES; first++)
			nodes[count++] = first;
		if (after != ',')
			break;
	}
	fclose(file);
	return count;
}

static void choose_nodes(void)
{
	int nodes[MOST_NODES], count = online(nodes), it;

	if (ask.status)
		return;
	if (count < 2)
		stop(NOT_HERE, "this machine has %d NUMA node online, and moving a page needs two: --status works here, "
		     "two_nodes.py emulates a machine with two", count);
	if (ask.from < 0)
		ask.from = ask.to == nodes[0] ? nodes[1] : nodes[0];
	if (ask.to < 0)
		ask.to = ask.from == nodes[0] ? nodes[1] : nodes[0];
	for (it = 0; it < count; it++)
		if (nodes[it] == ask.from)
			break;
	if (it == count)
		stop(USAGE, "--from %ld is not online", ask.from);
	for (it = 0; it < count; it++)
		if (nodes[it] == ask.to)
			break;
	if (it == count)
		stop(USAGE, "--to %ld is not online", ask.to);
	if (ask.from == ask.to)
		stop(USAGE, "--from and --to are both %ld", ask.to);
}

static cpu_set_t cpus;	/* that this process may use */

/* Puts a thread on the which-th of them. */
static void pin(pthread_t thread, long which)
{
	cpu_set_t one;
	long seen = 0;
	int cpu;

	which %= CPU_COUNT(&cpus);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &cpus) && seen++ == which)
			break;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_setaffinity_np(thread, sizeof(one), &one);
}

/*
 * Binds this process to one CPU and starts it anew there: an address space that has been on another CPU is flushed
 * there too.  Which CPUs there were is handed on, as hexadecimal digits, in the environment.
 */
static void begin_on_one_cpu(char **argv)
{
	static const char name[] = "MOVE_OWN_PAGES_CPUS";
	unsigned char *bytes = (unsigned char *)&cpus;
	char text[2 * sizeof(cpus) + 1];
	const char *given = getenv(name);
	size_t it;

	if (given && strlen(given) == 2 * sizeof(cpus)) {
		for (it = 0; it < sizeof(cpus); it++)
			sscanf(given + 2 * it, "%2hhx", bytes + it);
		if (CPU_COUNT(&cpus)) {
			prctl(PR_SET_NAME, "move_own_pages");	/* it would be called "exe" */
			return;
		}
	}
	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		stop(NOT_HERE, "sched_getaffinity: %s", strerror(errno));
	for (it = 0; it < sizeof(cpus); it++)
		sprintf(text + 2 * it, "%02x", bytes[it]);
	pin(pthread_self(), 0);
	setenv(name, text, 1);
	execv("/proc/self/exe", argv);
	fprintf(stderr, "move_own_pages: cannot start anew on one CPU (%s): another may be flushed too\n", strerror(errno));
}

/* Whether the kernel gave what MADV_HUGEPAGE asks for; it need not. */
static void check_huge(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	long kilobytes = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "AnonHugePages: %ld", &kilobytes) == 1)
			break;
	if (file)
		fclose(file);
	if (kilobytes < ask.pages * (HUGE >> 10))
		stop(NOT_HERE, "%ld kB of huge pages instead of %ld: see /sys/kernel/mm/transparent_hugepage/enabled, and "
		     "whether memory is free", kilobytes, ask.pages * (HUGE >> 10));
}

/* Pages that have been written to, on the node that they shall come from. */
static void prepare(void)
{
	size_t bytes = (size_t)ask.pages * (size_t)page_size;
	unsigned long mask = ask.status ? 0 : 1UL << ask.from;
	char *whole = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (whole == MAP_FAILED)
		stop(NOT_HERE, "no memory for %zu bytes: %s", bytes, strerror(errno));
	region = whole + (HUGE - (unsigned long)whole % HUGE) % HUGE;
	if (madvise(region, bytes, ask.huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) && ask.huge)
		stop(NOT_HERE, "this kernel has no transparent huge pages: %s", strerror(errno));
	if (mask && syscall(SYS_set_mempolicy, BIND, &mask, (unsigned long)MOST_NODES))
		stop(NOT_HERE, "set_mempolicy to node %ld is refused: %s", ask.from, strerror(errno));
	memset(region, 0, bytes);
	for (long it = 0; it < ask.pages; it++)
		region[it * page_size] = 0;
	if (ask.huge)
		check_huge();
	if (mask && syscall(SYS_set_mempolicy, 0, NULL, 0UL))	/* what else is allocated may be anywhere */
		stop(NOT_HERE, "set_mempolicy is refused: %s", strerror(errno));
}

/* One call; nodes is NULL to ask where the pages are. */
static long call(const int *nodes, int *status, void **addresses)
{
	int how = ask.children ? MOVE_SHARED : MOVE_OWN;
	long left = syscall(SYS_move_pages, 0, (unsigned long)ask.pages, addresses, nodes, status, nodes ? how : 0);

	if (left < 0 && errno == ENOSYS)
		stop(NOT_HERE, "this kernel was built without move_pages");
	if (left < 0 && errno == EPERM)
		stop(NOT_HERE, "move_pages is refused (%s): %s", strerror(errno),
		     ask.children ? "pages that others map too need CAP_SYS_NICE" : "a container's filter, perhaps");
	if (left < 0)
		stop(NOT_HERE, "move_pages: %s", strerror(errno));
	return left;
}

/* On which nodes how many pages are, in words; returns how many are on one of them. */
static long where(const char *when, long node, void **addresses, int *status)
{
	long on[MOST_NODES] = { 0 }, refused = 0, it;

	call(NULL, status, addresses);
	for (it = 0; it < ask.pages; it++)
		if (status[it] >= 0 && status[it] < MOST_NODES)
			on[status[it]]++;
		else
			refused++;
	printf("%s:", when);
	for (it = 0; it < MOST_NODES; it++)
		if (on[it])
			printf(" %ld on node %ld", on[it], it);
	if (refused)
		printf(" %ld nowhere (%s)", refused, strerror(-status[ask.pages - 1]));
	putchar('\n');
	return node >= 0 ? on[node] : 0;
}

static void *spins(void *number)
{
	(void)number;
	atomic_fetch_add(&ready, 1);
	while (!atomic_load_explicit(&over, memory_order_relaxed))
		;
	return NULL;
}

static void *writes(void *number)
{
	long mine = (long)number, it;
	unsigned long round = 0;

	atomic_fetch_add(&ready, 1);
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		round++;
		for (it = 0; it < ask.pages; it++)
			((volatile unsigned long *)(region + it * page_size))[mine] = round;
		atomic_store_explicit(&written[mine], round, memory_order_relaxed);
	}
	return NULL;
}

/* Children read every page once, so that they map it, and sleep until the parent is gone or stops them. */
static void fork_children(pid_t *pids)
{
	long it, page;
	int ends[2];
	char byte = 0;

	for (it = 0; it < ask.children; it++) {
		if (pipe(ends))
			stop(NOT_HERE, "pipe: %s", strerror(errno));
		pids[it] = fork();
		if (pids[it] < 0)
			stop(NOT_HERE, "fork: %s", strerror(errno));
		if (!pids[it]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (page = 0; page < ask.pages; page++)
				byte = *(volatile char *)(region + page * page_size);
			if (write(ends[1], &byte, 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		if (read(ends[0], &byte, 1) != 1)
			stop(NOT_HERE, "a child has died");
		close(ends[0]);
		close(ends[1]);
	}
}

static int marker(void)
{
	static const char *const places[] = { "/sys/kernel/tracing/trace_marker", "/sys/kernel/debug/tracing/trace_marker" };
	int fd = open(places[0], O_WRONLY);

	if (fd < 0)
		fd = open(places[1], O_WRONLY);
	if (fd < 0)
		stop(NOT_HERE, "--mark: %s: %s (root, and a mounted tracefs, are needed)", places[0], strerror(errno));
	return fd;
}

/* Not inlined, so that a probe can be set on it. */
__attribute__((noinline)) void mark(int fd, const char *word)
{
	if (fd >= 0 && write(fd, word, strlen(word)) < 0)
		stop(NOT_HERE, "--mark: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	pthread_t others[MOST_OTHERS];
	pid_t children[MOST_OTHERS];
	long it, page, there = 0, lost = 0;
	int fd = -1, *nodes, *status;
	void **addresses;

	options(argc, argv);
	begin_on_one_cpu(argv);
	page_size = ask.huge ? HUGE : sysconf(_SC_PAGESIZE);
	choose_nodes();
	if (ask.mark)
		fd = marker();
	nodes = calloc((size_t)ask.pages, sizeof(*nodes));
	status = calloc((size_t)ask.pages, sizeof(*status));
	addresses = calloc((size_t)ask.pages, sizeof(*addresses));
	if (!nodes || !status || !addresses)
		stop(NOT_HERE, "no memory");
	prepare();
	for (it = 0; it < ask.pages; it++)
		addresses[it] = region + it * page_size;
	setvbuf(stdout, NULL, _IOLBF, 0);
	where(ask.status ? "now" : "before", -1, addresses, status);
	if (ask.status)
		return MOVED;

	fork_children(children);
	for (it = 0; it < ask.write + ask.spin; it++) {
		if (pthread_create(&others[it], NULL, it < ask.write ? writes : spins, (void *)it))
			stop(NOT_HERE, "no more threads");
		pin(others[it], it + 1);
	}
	if (ask.write + ask.spin + 1 > CPU_COUNT(&cpus))
		fprintf(stderr, "move_own_pages: %ld threads share %d CPUs: interrupts will be fewer\n",
			ask.write + ask.spin + 1, CPU_COUNT(&cpus));
	while (atomic_load(&ready) < ask.write + ask.spin)
		sched_yield();
	for (it = 0; it < ask.write; it++)
		while (!atomic_load(&written[it]))
			sched_yield();

	mark(fd, "BEGIN");
	for (it = 0; it < ask.times; it++) {
		for (page = 0; page < ask.pages; page++)
			nodes[page] = (int)(it % 2 ? ask.from : ask.to);
		call(nodes, status, addresses);
	}
	mark(fd, "END");
	there = where("after", ask.times % 2 ? ask.to : ask.from, addresses, status);

	atomic_store(&over, true);
	for (it = 0; it < ask.write + ask.spin; it++)
		pthread_join(others[it], NULL);
	for (it = 0; it < ask.children; it++) {
		kill(children[it], SIGKILL);
		waitpid(children[it], NULL, 0);
	}
	for (it = 0; it < ask.write; it++)
		for (page = 0; page < ask.pages; page++)
			lost += ((volatile unsigned long *)(region + page * page_size))[it] != atomic_load(&written[it]);
	if (ask.write)
		printf("writes: %ld of %ld last ones lost\n", lost, ask.write * ask.pages);
	if (there < ask.pages)
		fprintf(stderr, "move_own_pages: %ld of %ld pages moved\n", there, ask.pages);
	return there < ask.pages || lost ? NOT_ALL : MOVED;
}
