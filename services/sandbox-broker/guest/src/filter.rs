//! The seccomp filter under which every program in a sandbox runs: a second layer, inside gVisor's kernel,
//! that takes away calls no program we run has a use for and that have been ways out of other kernels.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Refused with `EPERM` whatever their arguments.
const FORBIDDEN: &[i64] = &[
    // reaching into other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // namespaces, mounts, roots
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // kernel keys, programs, modules, events
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    // the machine
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_personality,
    libc::SYS_vhangup,
    libc::SYS_uselib,
];

/// Refused with `ENOSYS`, so that a C library falls back to the older call. `clone3` passes its flags by
/// reference, where no filter can see them; `clone` passes them in a register.
const ABSENT: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// The programs to install, in order.
pub(crate) fn programs() -> Result<[BpfProgram; 2], seccompiler::Error> {
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let mut forbidden: Rules = FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    forbidden.extend(conditional()?);
    let absent: Rules = ABSENT.iter().map(|call| (*call, Vec::new())).collect();
    Ok([
        compile(absent, errno(libc::ENOSYS))?,
        without_x32(compile(forbidden, errno(libc::EPERM))?),
    ])
}

/// Calls that are refused only with some arguments.
fn conditional() -> Result<Rules, seccompiler::Error> {
    let flag = |call: i64, argument: u8, bit: i32| -> Result<(i64, SeccompRule), seccompiler::Error> {
        let bit = u64::from(bit.unsigned_abs());
        Ok((call, rule(argument, SeccompCmpOp::MaskedEq(bit), bit)?))
    };
    let masked =
        |call: i64, argument: u8, mask: u32, value: u32| -> Result<(i64, SeccompRule), seccompiler::Error> {
            Ok((
                call,
                rule(
                    argument,
                    SeccompCmpOp::MaskedEq(u64::from(mask)),
                    u64::from(value),
                )?,
            ))
        };
    let is = |call: i64, argument: u8, value: i32| -> Result<(i64, SeccompRule), seccompiler::Error> {
        Ok((
            call,
            rule(argument, SeccompCmpOp::Eq, u64::from(value.unsigned_abs()))?,
        ))
    };
    let rules = [
        flag(libc::SYS_clone, 0, libc::CLONE_NEWUSER)?,
        flag(libc::SYS_clone, 0, libc::CLONE_NEWNS)?,
        flag(libc::SYS_clone, 0, libc::CLONE_NEWNET)?,
        flag(libc::SYS_clone, 0, libc::CLONE_NEWPID)?,
        flag(libc::SYS_clone, 0, libc::CLONE_NEWIPC)?,
        flag(libc::SYS_clone, 0, libc::CLONE_NEWUTS)?,
        flag(libc::SYS_clone, 0, libc::CLONE_NEWCGROUP)?,
        // The low four bits of a socket's type are its kind, the others are flags.
        masked(libc::SYS_socket, 1, 0xf, libc::SOCK_RAW.unsigned_abs())?,
        is(libc::SYS_socket, 0, libc::AF_PACKET)?,
        is(libc::SYS_socket, 0, libc::AF_VSOCK)?,
        is(libc::SYS_socket, 0, libc::AF_ALG)?,
        is(libc::SYS_socket, 0, libc::AF_KEY)?,
        is(libc::SYS_socket, 0, libc::AF_BLUETOOTH)?,
        is(libc::SYS_socket, 0, libc::AF_XDP)?,
        masked(libc::SYS_mknod, 1, libc::S_IFMT, libc::S_IFCHR)?,
        masked(libc::SYS_mknod, 1, libc::S_IFMT, libc::S_IFBLK)?,
        masked(libc::SYS_mknodat, 2, libc::S_IFMT, libc::S_IFCHR)?,
        masked(libc::SYS_mknodat, 2, libc::S_IFMT, libc::S_IFBLK)?,
    ];
    let mut by_call = Rules::new();
    for (call, rule) in rules {
        by_call.entry(call).or_default().push(rule);
    }
    Ok(by_call)
}

fn rule(argument: u8, test: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::Error> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, test, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

fn compile(rules: Rules, refusal: SeccompAction) -> Result<BpfProgram, seccompiler::Error> {
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, TargetArch::x86_64)?;
    Ok(filter.try_into()?)
}

/// Kills a process that makes an x32 call: those share the architecture mark of 64-bit calls but have
/// numbers of their own, which a list of numbers would let through.
fn without_x32(program: BpfProgram) -> BpfProgram {
    const X32_BIT: u32 = 0x4000_0000;
    let statement = |code: u32, jt: u8, jf: u8, k: u32| sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt,
        jf,
        k,
    };
    let mut whole = vec![
        // The call's number is the first word of `seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32_BIT),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
    ];
    whole.extend(program);
    whole
}
