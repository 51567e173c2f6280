"""The sandbox: a mount namespace in which the job finds /opt/ml and does not find what is not its business.

Called by the keeper, after it became the first process of a new PID namespace and before the job exists:

    /tmp, /var/tmp   the attempt's own directory on disk       /dev/shm  a tmpfs of the job's own
    masked paths     (data directory, homes) an empty tmpfs    exposed paths   read-only at their own place
    /opt/ml          the attempt's directory; every other child of /opt stays as it is
    /etc/hosts       names of the job's hosts                  /etc/passwd     has the job's user
    /proc            only the job's processes                  network         the host's, or a loopback of its own
    /run             empty: the sockets of the host's services stay outside; only what resolv.conf names is there
    all the rest     read-only, whoever may write there: a job writes to its own places, which are measured

Sources are opened before anything is masked and mounted through their descriptors afterwards.
It is isolation of well-meaning code from the platform and its neighbours; user code still talks to the host's kernel.
"""

# pathlib takes longer to load than all of the shim.
# ruff: noqa: PTH101, PTH102, PTH103, PTH110, PTH112, PTH113, PTH114, PTH115, PTH116, PTH120, PTH123, PTH211

from __future__ import annotations

import os
import stat

from . import kernel, network
from .launchfile import LaunchFile

OPT_ML = "/opt/ml"
_QUIET = kernel.MS_NOSUID | kernel.MS_NODEV
_MOUNT_FLAGS = (("nosuid", kernel.MS_NOSUID), ("nodev", kernel.MS_NODEV), ("noexec", kernel.MS_NOEXEC))
#: ENOENT, EACCES, ENOTDIR, EINVAL.
_NOT_REACHED = (2, 13, 20, 22)


def own_namespaces(launch: LaunchFile) -> None:
    """Called by the shim before it forks the keeper. Without root, a user namespace that maps only this user."""
    own_user = _own_user if launch.number("user_namespace") else None
    if shared := launch.text("network_file"):
        network.share(shared, own_user=own_user)
    elif own_user is not None:
        own_user()
    kernel.unshare(kernel.CLONE_NEWPID)


def _own_user() -> None:
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {uid} 1")
    _write("/proc/self/gid_map", f"{gid} {gid} 1")


def enter(launch: LaunchFile) -> None:
    """Build the job's view of the file system in a new mount namespace. The working directory is the attempt's."""
    prepare_files(launch)
    private_network = kernel.CLONE_NEWNET if launch.number("private_network") else 0
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | private_network)
    if private_network:
        network.raise_loopback()
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    if name := launch.text("host_name"):
        kernel.set_host_name(name)
    tmp, hosts, opt_ml = _handle("tmp"), _handle("hosts"), _handle(launch.text("opt_ml"))
    passwd = _handle("passwd") if launch.number("uid") else None
    exposed = [(path, _handle(path)) for path in launch.all("expose") if os.path.isdir(path)]
    closed = {_closed_ancestor(path) for path, _ in exposed} if launch.number("uid") else set()
    resolver = "" if launch.number("isolated") else _resolver(launch.all("mask"))
    resolver_source = _handle(resolver) if resolver else -1
    binds = list(
        zip(
            [_handle(source) for source in launch.all("bind_source")],
            launch.all("bind_target"),
            launch.all("bind_mode"),
            strict=True,
        )
    )
    for path in ("/tmp", "/var/tmp"):
        if os.path.isdir(path) and not os.path.islink(path):
            _bind(tmp, path)
    if os.path.isdir("/dev/shm"):
        kernel.mount("tmpfs", "/dev/shm", "tmpfs", _QUIET, "mode=1777")
    for path in sorted({*launch.all("mask"), *closed} - {""}):
        if os.path.isdir(path):
            kernel.mount("tmpfs", path, "tmpfs", _QUIET, "mode=755,size=1m")
    for path, source in exposed:
        if not os.path.exists(path) or not os.path.samestat(os.stat(path), os.fstat(source)):
            os.makedirs(path, mode=0o755, exist_ok=True)
            _bind(source, path, read_only=True)
    if resolver and not os.path.exists(resolver):
        _make_mount_point(resolver, resolver_source)
        _bind(resolver_source, resolver, read_only=True)
    _present_opt_ml(opt_ml)
    writable = {"/tmp", "/var/tmp", "/dev/shm", OPT_ML}
    for source, target, mode in binds:
        _make_mount_point(target, source)
        _bind(source, target, read_only=mode == "ro")
        if mode != "ro":
            writable.add(target)
    if os.path.exists("/etc/hosts"):
        _bind(hosts, os.path.realpath("/etc/hosts"), read_only=True)
    if passwd is not None and os.path.exists("/etc/passwd"):
        _bind(passwd, os.path.realpath("/etc/passwd"), read_only=True)
    _make_the_rest_read_only(writable)
    kernel.mount("proc", "/proc", "proc", _QUIET | kernel.MS_NOEXEC)
    kernel.hide_from_peers()


def prepare_files(launch: LaunchFile) -> None:
    """The attempt's own /tmp, hosts and passwd, and /opt/ml in the hands of the job's user."""
    os.makedirs("tmp", exist_ok=True)
    os.chmod("tmp", 0o1777)
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{address} {name}" for name, address in launch.pairs("host")]
    _write("hosts", "\n".join(lines) + "\n", mode=0o644)
    uid, gid = launch.number("uid"), launch.number("gid")
    if uid:
        row = f"sagemaker-user:x:{uid}:{gid}:job:/tmp:/bin/sh\n"
        with open("/etc/passwd") as file:
            _write("passwd", file.read().rstrip("\n") + "\n" + row, mode=0o644)
        _give(launch.text("opt_ml"), uid, gid)


def _give(path: str, uid: int, gid: int) -> None:
    os.chown(path, uid, gid, follow_symlinks=False)
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _give(entry.path, uid, gid)
            elif entry.stat(follow_symlinks=False).st_nlink == 1:
                # A file with a second name may be an immutable object of the platform: never given away.
                os.chown(entry.path, uid, gid, follow_symlinks=False)


def _resolver(masked: list[str]) -> str:
    """The file that /etc/resolv.conf leads to, or its folder (it is replaced, not rewritten), if that is masked."""
    path = os.path.realpath("/etc/resolv.conf")
    folder = os.path.dirname(path)
    for mask in masked:
        if path.startswith(f"{mask}/") and os.path.isfile(path):
            return path if folder == mask else folder
    return ""


def _make_the_rest_read_only(writable: set[str]) -> None:
    """Every mount but these. What is hidden under another mount, or closed to us, the job does not reach either."""
    with open("/proc/self/mountinfo") as file:
        mounts = [line.split() for line in file]
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY
    for fields in mounts:
        # Blanks and the like are written as octal escapes.
        path = fields[4]
        if "\\" in path:
            path = os.fsdecode(os.fsencode(path).decode("unicode_escape").encode("latin-1"))
        options = fields[5].split(",")
        if path in writable or "ro" in options:
            continue
        # In a user namespace the flags a mount already has are locked: they must be named again.
        kept = sum(flag for name, flag in _MOUNT_FLAGS if name in options)
        try:
            kernel.mount(None, path, None, flags | kept)
        except OSError as error:
            if error.errno not in _NOT_REACHED:
                raise


def _closed_ancestor(path: str) -> str:
    """The topmost directory above ``path`` that the job's user may not pass, '' when there is none.

    An interpreter often lies in a home that is closed to others; with a tmpfs over the home it can be shown.
    """
    position = path.find("/", 1)
    while position > 0:
        if not os.stat(path[:position]).st_mode & stat.S_IXOTH:
            return path[:position]
        position = path.find("/", position + 1)
    return ""


def _present_opt_ml(source: int) -> None:
    if not os.path.isdir(OPT_ML):
        _rebuild_opt()
    _bind(source, OPT_ML)


def _rebuild_opt() -> None:
    """A private /opt with a directory ``ml`` beside every child that the host's /opt has."""
    if not os.path.isdir("/opt"):
        os.mkdir("/opt", 0o755)  # Allowed to root only; the file system standard has it everywhere.
    children: list[tuple[str, int, str]] = []
    with os.scandir("/opt") as entries:
        for entry in entries:
            link = os.readlink(entry.path) if entry.is_symlink() else ""
            children.append((entry.path, -1 if link else _handle(entry.path), link))
    kernel.mount("tmpfs", "/opt", "tmpfs", _QUIET, "mode=755,size=1m")
    for path, handle, link in children:
        if link:
            os.symlink(link, path)
        else:
            _make_mount_point(path, handle)
            _bind(handle, path)
    os.mkdir(OPT_ML, 0o755)


def _make_mount_point(target: str, source: int) -> None:
    if os.path.lexists(target):
        return
    if stat.S_ISDIR(os.fstat(source).st_mode):
        os.makedirs(target, mode=0o755)
    else:
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))


def _handle(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _bind(source: int, target: str, *, read_only: bool = False) -> None:
    kernel.mount(f"/proc/self/fd/{source}", target, None, kernel.MS_BIND | kernel.MS_REC)
    if read_only:
        # In a user namespace the flags a mount already has are locked: they must be named again.
        kept = os.statvfs(target).f_flag & (_QUIET | kernel.MS_NOEXEC)
        kernel.mount(None, target, None, kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kept)


def _write(path: str, text: str, mode: int = 0o600) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
