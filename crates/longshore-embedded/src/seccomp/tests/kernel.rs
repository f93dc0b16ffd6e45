//! The filter in force, on threads of their own: a filter holds for its thread and what that starts.
#![expect(unsafe_code, reason = "a refused system call has no safe function that would make it")]

use std::process::Command;

use nix::errno::Errno;
use nix::libc::{self, c_long};

use super::capabilities;
use crate::seccomp::{filter, install};

/// What the work comes to on a thread under the filter.
fn under_filter<T: Send + 'static>(names: &[&str], work: impl FnOnce() -> T + Send + 'static) -> T {
    let programs = filter(&capabilities(names)).unwrap();
    let thread = std::thread::spawn(move || {
        install(&programs).unwrap();
        work()
    });
    thread.join().unwrap()
}

/// Makes a system call with up to five arguments; the others are zero.
fn call<const N: usize>(number: c_long, arguments: [c_long; N]) -> Result<c_long, Errno> {
    let argument = |at: usize| arguments.get(at).copied().unwrap_or(0);
    // SAFETY: the tests only pass numbers, and null where the kernel would take an address.
    let answer = unsafe { libc::syscall(number, argument(0), argument(1), argument(2), argument(3), argument(4), 0) };
    Errno::result(answer)
}

/// What a thread under the filter is told.
fn answer<const N: usize>(names: &[&str], number: c_long, arguments: [c_long; N]) -> Result<c_long, Errno> {
    under_filter(names, move || call(number, arguments))
}

#[test]
fn ordinary_calls_work() {
    under_filter(&[], || {
        assert_eq!(call(libc::SYS_getpid, []), Ok(c_long::from(std::process::id())));
        let file = std::env::temp_dir().join(format!("longshore-seccomp-{}", std::process::id()));
        std::fs::write(&file, "x").unwrap();
        std::fs::remove_file(&file).unwrap();
        std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        std::os::unix::net::UnixStream::pair().unwrap();
    });
}

#[test]
fn dangerous_calls_are_denied() {
    // Without a filter, `unshare(0)` does nothing and succeeds, and `keyctl` tells the session's key ring.
    assert_eq!(answer(&[], libc::SYS_unshare, [0]), Err(Errno::EPERM));
    assert_eq!(answer(&[], libc::SYS_keyctl, [0, -3, 1]), Err(Errno::EPERM));
    assert_eq!(answer(&[], libc::SYS_mount, [0, 0]), Err(Errno::EPERM));
    assert_eq!(answer(&[], libc::SYS_bpf, [-1]), Err(Errno::EPERM));
    assert_eq!(answer(&[], libc::SYS_io_uring_setup, [1, 0]), Err(Errno::EPERM));
    assert_eq!(answer(&[], libc::SYS_kexec_load, [0, 0, 0, -1]), Err(Errno::EPERM));
}

#[test]
fn sys_admin_lets_its_calls_through_to_the_kernel() {
    assert_eq!(answer(&["SYS_ADMIN"], libc::SYS_unshare, [0]), Ok(0));
    // The kernel looks for the path before it looks at the caller's rights.
    assert_eq!(answer(&["SYS_ADMIN"], libc::SYS_mount, [0, 0]), Err(Errno::EFAULT));
    assert_eq!(answer(&["SYS_ADMIN"], libc::SYS_clone3, [0, 0]), Err(Errno::EINVAL));
    assert_eq!(answer(&["SYS_ADMIN"], libc::SYS_keyctl, [0, -3, 1]), Err(Errno::EPERM));
}

#[test]
fn clone_with_a_namespace_is_denied() {
    // A thread in a namespace of its own is nonsense to the kernel, so that nothing starts where the filter lets it by.
    let flags = c_long::from(libc::CLONE_NEWUSER | libc::CLONE_THREAD);
    assert_eq!(answer(&[], libc::SYS_clone, [flags]), Err(Errno::EPERM));
    assert_eq!(answer(&["SYS_ADMIN"], libc::SYS_clone, [flags]), Err(Errno::EINVAL));
}

#[test]
fn unknown_calls_do_not_exist() {
    let open_tree_attr = 467;
    assert_eq!(answer(&[], libc::SYS_clone3, [0, 0]), Err(Errno::ENOSYS));
    assert_eq!(answer(&[], 1000, []), Err(Errno::ENOSYS));
    assert_eq!(answer(&[], open_tree_attr, [-1, 0, -1]), Err(Errno::ENOSYS));
}

#[test]
fn some_socket_families_are_denied() {
    for family in [libc::AF_VSOCK, libc::AF_ALG] {
        assert_eq!(answer(&[], libc::SYS_socket, [family.into(), libc::SOCK_STREAM.into()]), Err(Errno::EPERM));
    }
    for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_NETLINK] {
        under_filter(&[], move || {
            let socket = call(libc::SYS_socket, [family.into(), libc::SOCK_RAW.into()]);
            let socket = socket.or_else(|_| call(libc::SYS_socket, [family.into(), libc::SOCK_STREAM.into()])).unwrap();
            call(libc::SYS_close, [socket]).unwrap();
        });
    }
}

#[test]
fn personalities_are_limited() {
    under_filter(&[], || {
        assert_eq!(call(libc::SYS_personality, [0xffff_ffff]), Ok(0));
        assert_eq!(call(libc::SYS_personality, [0]), Ok(0));
        assert_eq!(call(libc::SYS_personality, [libc::ADDR_NO_RANDOMIZE.into()]), Err(Errno::EPERM));
    });
}

#[test]
fn threads_and_programs_still_start() {
    under_filter(&[], || {
        std::thread::spawn(|| ()).join().unwrap();
        let output = Command::new("/bin/sh").args(["-c", "(echo one) | cat; unshare true || echo denied"]).output();
        let output = output.unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout), "one\ndenied\n");
    });
}

#[test]
fn a_second_container_filter_can_be_stacked() {
    let seen = under_filter(&["SYS_ADMIN"], || {
        install(&filter(&capabilities(&[])).unwrap()).unwrap();
        call(libc::SYS_unshare, [0])
    });
    assert_eq!(seen, Err(Errno::EPERM));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_32_bit_call_ends_the_process() {
    use nix::sys::signal::Signal;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    let programs = filter(&capabilities(&[])).unwrap();
    // SAFETY: the child makes system calls and nothing else.
    let ended = match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => waitpid(child, None).unwrap(),
        ForkResult::Child => {
            let _ = install(&programs);
            let getpid = 20;
            // SAFETY: the 32-bit entry takes the number in `eax` and answers there; this call has no arguments.
            unsafe { std::arch::asm!("int 0x80", inlateout("eax") getpid => _) };
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { libc::_exit(0) }
        }
    };
    assert!(matches!(ended, WaitStatus::Signaled(_, Signal::SIGSYS, _)), "{ended:?}");
}
