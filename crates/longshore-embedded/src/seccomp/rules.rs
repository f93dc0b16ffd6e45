//! What the profile says beyond the list of allowed calls: conditions and capabilities.

use std::collections::{BTreeMap, BTreeSet};

use nix::libc;

use super::program::{Answer, Decision, Range};
use super::table::{ALLOWED, Architecture, Call, both, only_x86_64};

/// The flags by which `clone` makes a namespace. `CLONE_NEWTIME` is none of them: `clone` reads its bit as part of the
/// exit signal.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// What `uname` calls a 32-bit machine; `libc` lacks it.
const PER_LINUX32: u32 = 8;

/// Linux's own ways and those of a 32-bit machine, each with and without an old version number, and the question what
/// is set. Switching off the randomised address space is not among them.
const PERSONALITIES: &[Range] =
    &[one(0), one(PER_LINUX32), one(libc::UNAME26 as u32), one(libc::UNAME26 as u32 | PER_LINUX32), one(u32::MAX)];

/// The socket families that a container may use. Missing are those that Linux has given up and two that it still has:
/// `AF_ALG` (38), the kernel's cryptography, whose holes (<https://copy.fail/>) made moby leave it out, and `AF_VSOCK`
/// (40), which reaches the machine's host or guests past the network namespace.
const SOCKET_FAMILIES: &[Range] = &[
    // From none, which the kernel refuses itself, over AF_UNIX, AF_INET and AF_INET6 to AF_ROSE.
    Range { first: 0, last: 11 },
    // From AF_NETBEUI over AF_NETLINK and AF_PACKET to AF_ASH.
    Range { first: 13, last: 18 },
    // AF_RDS, AF_SNA.
    Range { first: 21, last: 22 },
    // AF_PPPOX.
    one(24),
    // From AF_LLC over AF_CAN and AF_BLUETOOTH to AF_RXRPC.
    Range { first: 26, last: 33 },
    // AF_PHONET, AF_IEEE802154.
    Range { first: 35, last: 36 },
    // AF_NFC.
    one(39),
    // AF_KCM, AF_QIPCRTR, AF_SMC, AF_XDP, AF_MCTP.
    Range { first: 41, last: 45 },
];

/// Calls that depend on more than their number, unless a capability allows them altogether.
pub(super) const CONDITIONAL: &[(Call, Decision)] = &[
    (both("clone", 56, 220), Decision::UnlessBits(NAMESPACES)),
    (both("clone3", 435, 435), Decision::Always(Answer::NO_SUCH_CALL)),
    (both("personality", 135, 92), Decision::IfAmong(PERSONALITIES)),
    (both("socket", 41, 198), Decision::IfAmong(SOCKET_FAMILIES)),
];

/// Calls that come with a capability.
pub(super) const BY_CAPABILITY: &[(&str, &[Call])] = &[
    ("BPF", &[both("bpf", 321, 280)]),
    ("DAC_READ_SEARCH", &[both("open_by_handle_at", 304, 265)]),
    ("PERFMON", &[both("perf_event_open", 298, 241)]),
    ("SYSLOG", &[both("syslog", 103, 116)]),
    ("SYS_ADMIN", SYS_ADMIN),
    ("SYS_BOOT", &[both("reboot", 169, 142)]),
    ("SYS_CHROOT", &[both("chroot", 161, 51)]),
    ("SYS_MODULE", &[both("delete_module", 176, 106), both("finit_module", 313, 273), both("init_module", 175, 105)]),
    (
        "SYS_NICE",
        &[
            both("get_mempolicy", 239, 236),
            both("mbind", 237, 235),
            both("set_mempolicy", 238, 237),
            both("set_mempolicy_home_node", 450, 450),
        ],
    ),
    ("SYS_PACCT", &[both("acct", 163, 89)]),
    ("SYS_PTRACE", &[both("kcmp", 312, 272), both("pidfd_getfd", 438, 438), both("process_madvise", 440, 440)]),
    ("SYS_RAWIO", &[only_x86_64("ioperm", 173), only_x86_64("iopl", 172)]),
    ("SYS_TIME", &[both("clock_settime", 227, 112), both("settimeofday", 164, 170)]),
    ("SYS_TTY_CONFIG", &[both("vhangup", 153, 58)]),
];

/// Calls that come with `CAP_SYS_ADMIN`, the two `clone`s without a condition among them.
const SYS_ADMIN: &[Call] = &[
    both("bpf", 321, 280),
    both("clone", 56, 220),
    both("clone3", 435, 435),
    both("fanotify_init", 300, 262),
    both("fsconfig", 431, 431),
    both("fsmount", 432, 432),
    both("fsopen", 430, 430),
    both("fspick", 433, 433),
    both("lookup_dcookie", 212, 18),
    both("lsm_get_self_attr", 459, 459),
    both("lsm_list_modules", 461, 461),
    both("lsm_set_self_attr", 460, 460),
    both("mount", 165, 40),
    both("mount_setattr", 442, 442),
    both("move_mount", 429, 429),
    both("open_tree", 428, 428),
    both("perf_event_open", 298, 241),
    both("quotactl", 179, 60),
    both("quotactl_fd", 443, 443),
    both("setdomainname", 171, 162),
    both("sethostname", 170, 161),
    both("setns", 308, 268),
    both("syslog", 103, 116),
    both("umount2", 166, 39),
    both("unshare", 272, 97),
];

/// How each call that the profile names is decided for a container with these capabilities, by its number.
pub(super) fn decisions(architecture: Architecture, capabilities: &BTreeSet<String>) -> BTreeMap<u32, Decision> {
    let allow = |call: &Call| Some((call.number(architecture)?, Decision::Always(Answer::Allow)));
    let held = BY_CAPABILITY.iter().filter(|(name, _)| capabilities.contains(*name)).flat_map(|(_, calls)| *calls);

    let mut decisions: BTreeMap<u32, Decision> = ALLOWED.iter().filter_map(allow).collect();
    decisions.extend(CONDITIONAL.iter().filter_map(|(call, decision)| Some((call.number(architecture)?, *decision))));
    // Last, because a capability lifts a condition.
    decisions.extend(held.filter_map(allow));
    decisions
}

/// A range of one value.
const fn one(value: u32) -> Range {
    Range { first: value, last: value }
}
