//! What the programs answer, on both architectures, according to an interpreter.

use std::collections::{BTreeMap, BTreeSet};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::{allowed, ask, capabilities, denied, no_such_call, program_for, run};
use crate::seccomp::program::Decision;
use crate::seccomp::rules;
use crate::seccomp::table::{ALLOWED, Architecture};

const BOTH: [Architecture; 2] = [Architecture::X86_64, Architecture::Aarch64];

/// Calls by which a container could leave, or harm the machine, with their numbers on x86-64 and 64-bit ARM.
const DANGEROUS: &[(&str, u32, Option<u32>)] = &[
    ("acct", 163, Some(89)),
    ("add_key", 248, Some(217)),
    ("bpf", 321, Some(280)),
    ("chroot", 161, Some(51)),
    ("clock_settime", 227, Some(112)),
    ("create_module", 174, None),
    ("delete_module", 176, Some(106)),
    ("fanotify_init", 300, Some(262)),
    ("finit_module", 313, Some(273)),
    ("fsconfig", 431, Some(431)),
    ("fsmount", 432, Some(432)),
    ("fsopen", 430, Some(430)),
    ("get_mempolicy", 239, Some(236)),
    ("init_module", 175, Some(105)),
    ("io_uring_enter", 426, Some(426)),
    ("io_uring_register", 427, Some(427)),
    ("io_uring_setup", 425, Some(425)),
    ("ioperm", 173, None),
    ("iopl", 172, None),
    ("kcmp", 312, Some(272)),
    ("kexec_file_load", 320, Some(294)),
    ("kexec_load", 246, Some(104)),
    ("keyctl", 250, Some(219)),
    ("lookup_dcookie", 212, Some(18)),
    ("mount", 165, Some(40)),
    ("mount_setattr", 442, Some(442)),
    ("move_mount", 429, Some(429)),
    ("move_pages", 279, Some(239)),
    ("nfsservctl", 180, Some(42)),
    ("open_by_handle_at", 304, Some(265)),
    ("open_tree", 428, Some(428)),
    ("perf_event_open", 298, Some(241)),
    ("pidfd_getfd", 438, Some(438)),
    ("pivot_root", 155, Some(41)),
    ("process_madvise", 440, Some(440)),
    ("quotactl", 179, Some(60)),
    ("reboot", 169, Some(142)),
    ("request_key", 249, Some(218)),
    ("setdomainname", 171, Some(162)),
    ("sethostname", 170, Some(161)),
    ("setns", 308, Some(268)),
    ("settimeofday", 164, Some(170)),
    ("swapoff", 168, Some(225)),
    ("swapon", 167, Some(224)),
    ("syslog", 103, Some(116)),
    ("umount2", 166, Some(39)),
    ("unshare", 272, Some(97)),
    ("userfaultfd", 323, Some(282)),
    ("vhangup", 153, Some(58)),
];

#[test]
fn dangerous_calls_are_denied_without_capabilities() {
    for architecture in BOTH {
        let program = program_for(architecture, &[]);
        for &(name, x86_64, aarch64) in DANGEROUS {
            let number = if architecture == Architecture::X86_64 { Some(x86_64) } else { aarch64 };
            let Some(number) = number else { continue };
            assert_eq!(ask(&program, architecture, number, 0), denied(), "{name} on {architecture:?}");
        }
    }
}

#[test]
fn listed_calls_are_allowed() {
    for architecture in BOTH {
        let program = program_for(architecture, &[]);
        for call in ALLOWED {
            let Some(number) = call.number(architecture) else { continue };
            assert_eq!(ask(&program, architecture, number, u64::MAX), allowed(), "{} on {architecture:?}", call.name);
        }
    }
}

#[test]
fn a_capability_allows_its_calls_and_no_others() {
    for architecture in BOTH {
        let without = program_for(architecture, &[]);
        for &(capability, calls) in rules::BY_CAPABILITY {
            let with = program_for(architecture, &[capability]);
            let mine: BTreeSet<u32> = calls.iter().filter_map(|call| call.number(architecture)).collect();
            for number in 0..=600 {
                let expected =
                    if mine.contains(&number) { allowed() } else { ask(&without, architecture, number, u64::MAX) };
                assert_eq!(ask(&with, architecture, number, u64::MAX), expected, "{number} with {capability}");
            }
        }
    }
}

#[test]
fn numbers_beyond_the_profile_do_not_exist() {
    let x32_getpid = 0x4000_0000 | 39;
    for architecture in BOTH {
        let program = program_for(architecture, &[]);
        for number in [467, 468, 512, 547, 1000, x32_getpid, u32::MAX] {
            assert_eq!(ask(&program, architecture, number, 0), no_such_call(), "{number}");
        }
        assert_eq!(ask(&program, architecture, 466, 0), allowed());
        assert_eq!(ask(&program, architecture, 400, 0), denied(), "a gap between known calls");
    }
}

#[test]
fn a_foreign_architecture_is_ended() {
    let (i386, arm, kill) = (0x4000_0003, 0x4000_0028, 0x8000_0000);
    for (architecture, other) in BOTH.into_iter().zip([Architecture::Aarch64, Architecture::X86_64]) {
        let program = program_for(architecture, &["SYS_ADMIN"]);
        for audit in [i386, arm, other.audit(), 0] {
            assert_eq!(run(&program, audit, 39, 0).0, kill);
        }
    }
}

#[test]
fn clone_makes_threads_and_processes_but_no_namespaces() {
    let (process, thread) = (0x0120_0011, 0x003d_0f00);
    let namespaces = [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];
    for (architecture, clone) in BOTH.into_iter().zip([56, 220]) {
        let (plain, admin) = (program_for(architecture, &[]), program_for(architecture, &["SYS_ADMIN"]));
        assert_eq!(ask(&plain, architecture, clone, process), allowed());
        assert_eq!(ask(&plain, architecture, clone, thread), allowed());
        for namespace in namespaces {
            assert_eq!(ask(&plain, architecture, clone, process | namespace), denied(), "{namespace:#x}");
            assert_eq!(ask(&admin, architecture, clone, process | namespace), allowed(), "{namespace:#x}");
        }
        assert_eq!(ask(&plain, architecture, 435, 0), no_such_call());
        assert_eq!(ask(&admin, architecture, 435, 0), allowed());
    }
}

#[test]
fn sockets_are_allowed_by_family() {
    let refused = [12, 19, 20, 23, 25, 34, 37, 38, 40, 46, 255, u64::from(u32::MAX)];
    let fine = (0..=45).filter(|family| !refused.contains(family));
    for (architecture, socket) in BOTH.into_iter().zip([41, 198]) {
        let program = program_for(architecture, &["SYS_ADMIN", "NET_ADMIN"]);
        for family in fine.clone() {
            assert_eq!(ask(&program, architecture, socket, family), allowed(), "{family}");
        }
        for family in refused {
            assert_eq!(ask(&program, architecture, socket, family), denied(), "{family}");
            let disguised = family | 0x1_0000_0000;
            assert_eq!(ask(&program, architecture, socket, disguised), denied(), "{disguised}");
        }
    }
}

#[test]
fn personalities_are_allowed_by_value() {
    for (architecture, personality) in BOTH.into_iter().zip([135, 92]) {
        let program = program_for(architecture, &[]);
        for value in [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] {
            assert_eq!(ask(&program, architecture, personality, value), allowed(), "{value:#x}");
        }
        for value in [1, 7, 9, 0x4_0000, 0x1_ffff, 0x2_0007, 0x2_0009, 0xffff_fffe] {
            assert_eq!(ask(&program, architecture, personality, value), denied(), "{value:#x}");
        }
    }
}

#[test]
fn an_unknown_capability_allows_nothing() {
    for architecture in BOTH {
        assert_eq!(program_for(architecture, &["CAP_SYS_ADMIN", "sys_admin", ""]), program_for(architecture, &[]));
    }
}

#[test]
fn the_program_is_short_and_shallow() {
    for architecture in BOTH {
        for names in [&[][..], &["SYS_ADMIN", "SYS_NICE", "SYS_PTRACE", "SYS_TIME"]] {
            let program = program_for(architecture, names);
            assert!(program.len() < 512, "{} instructions; the kernel takes 4096", program.len());
            let deepest = (0..=600).map(|number| run(&program, architecture.audit(), number, 40).1).max();
            assert!(deepest <= Some(24), "{deepest:?} instructions for one call");
        }
    }
}

/// A second opinion: seccompiler's own program for the same decisions.
pub(super) fn by_seccompiler(architecture: Architecture, decisions: &BTreeMap<u32, Decision>) -> BpfProgram {
    let when = |operation, value: u32| {
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, operation, u64::from(value)).unwrap();
        SeccompRule::new(vec![condition]).unwrap()
    };
    let rules = decisions.iter().filter_map(|(&number, decision)| {
        let rules = match *decision {
            Decision::Always(answer) if answer.value() == allowed() => vec![],
            Decision::Always(_) => return None,
            Decision::UnlessBits(bits) => vec![when(SeccompCmpOp::MaskedEq(u64::from(bits)), 0)],
            Decision::IfAmong(ranges) => {
                let values = ranges.iter().flat_map(|range| range.first..=range.last);
                values.map(|value| when(SeccompCmpOp::Eq, value)).collect()
            }
        };
        Some((i64::from(number), rules))
    });
    let target = match architecture {
        Architecture::X86_64 => TargetArch::x86_64,
        Architecture::Aarch64 => TargetArch::aarch64,
    };
    let (denied, allowed) = (SeccompAction::Errno(1), SeccompAction::Allow);
    SeccompFilter::new(rules.collect(), denied, allowed, target).unwrap().try_into().unwrap()
}

#[test]
fn seccompiler_agrees_on_what_is_allowed() {
    let arguments = (0..64).chain([0x2_0000, 0x2_0008, 0x4_0000, 0x3d_0f00, 0x1000_0011, 0x1_0000_0028, u64::MAX]);
    for architecture in BOTH {
        for names in [&[][..], &["SYS_ADMIN"], &["SYS_PTRACE", "SYS_TIME", "BPF"]] {
            let decisions = rules::decisions(architecture, &capabilities(names));
            let (ours, theirs) = (program_for(architecture, names), by_seccompiler(architecture, &decisions));
            let agree = |number, argument| {
                let mine = ask(&ours, architecture, number, argument) == allowed();
                let other = ask(&theirs, architecture, number, argument) == allowed();
                assert_eq!(mine, other, "{number} with {argument:#x}");
            };
            (0..=600).chain([0x4000_0027, u32::MAX]).for_each(|number| agree(number, 0));
            for (call, _) in rules::CONDITIONAL {
                let number = call.number(architecture).unwrap();
                arguments.clone().for_each(|argument| agree(number, argument));
            }
        }
    }
}
