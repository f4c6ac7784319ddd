"""A limit other than the host's memory that was reached, or memory that was refused. One entry for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.killers.base import Killer, Wording, wording
from oomguard.diagnosis.model import Advice

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill


def _entry(ident: str, what: str, *wordings: Wording, why: str, do: tuple[tuple[str, str | None], ...]) -> Killer:
    def advise(_kill: OtherKill) -> tuple[Advice, ...]:
        return tuple(Advice(text=text, command=command) for text, command in do)

    return Killer(ident=ident, what=what, wordings=wordings, says="elsewhere", advise=advise, why=why)


# What the C library calls ENOMEM. Source: glibc's catalogues of messages.
_REFUSED = (
    "Cannot allocate memory|Nicht genügend Hauptspeicher verfügbar|Der Speicher kann nicht angefordert werden"
    "|Impossible d'allouer de la mémoire|Ne peut allouer de la mémoire|No se pudo asignar memoria"
    "|No se puede asignar memoria|No se puede reservar memoria|Impossibile allocare memoria"
    "|Não foi possível alocar memória|Não é possível alocar memória"
    "|\u041d\u0435\u0432\u043e\u0437\u043c\u043e\u0436\u043d\u043e \u0432\u044b\u0434\u0435\u043b\u0438\u0442\u044c \u043f\u0430\u043c\u044f\u0442\u044c"
    "|\u041d\u0435 \u0443\u0434\u0430\u0451\u0442\u0441\u044f \u0432\u044b\u0434\u0435\u043b\u0438\u0442\u044c \u043f\u0430\u043c\u044f\u0442\u044c|\u041d\u0435 \u0443\u0434\u0430\u0435\u0442\u0441\u044f \u0432\u044b\u0434\u0435\u043b\u0438\u0442\u044c \u043f\u0430\u043c\u044f\u0442\u044c|Nie można przydzielić pamięci"
    "|メモリを確保できません|메모리를 할당할 수 없습니다|无法分配内存|不能分配内存|無法配置記憶體"
)

MESSAGES: tuple[Killer, ...] = (
    _entry(
        "gpu",
        "a GPU ran out of memory, not the host",
        wording(
            r"(?:[\w.]{0,80}(?:OutOfMemoryError|RuntimeError|AcceleratorError): )?(?P<reason>(?:CUDA|HIP|MPS backend|XPU) out of memory.{0,300}|CUDA error: out of memory)",
            "CUDA out of memory|HIP out of memory|MPS backend out of memory|XPU out of memory|CUDA error: out of memory",
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.69 GiB of which 1.10 GiB is free.",
        ),
        wording(
            r"(?:.{0,200}?\s)?(?P<reason>OOM when allocating tensor with shape.{0,200}|RESOURCE_EXHAUSTED: Out of memory.{0,200})",
            "(?:OOM when allocating tensor|RESOURCE_EXHAUSTED: Out of memory)",
            "tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating tensor with shape[256,4096] and type float on /job:localhost/replica:0/task:0/device:GPU:0",
        ),
        wording(
            r"(?:.{0,120}?\s)?(?P<reason>NPU out of memory.{0,200}|CUDA error: CUBLAS_STATUS_ALLOC_FAILED.{0,120}|cudaMalloc failed: out of memory|No available memory for the cache blocks.{0,160}|Allocator \(GPU_[0-9]{1,3}_bfc\) ran out of memory trying to allocate .{1,120})",
            r"Allocator \(GPU_|NPU out of memory|CUBLAS_STATUS_ALLOC_FAILED|cudaMalloc failed: out of memory|No available memory for the cache",
            "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 8192.00 MiB on device 0: cudaMalloc failed: out of memory",
        ),
        wording(  # CuPy, RAPIDS, PaddlePaddle
            r"(?:.{0,160}?\s)?(?P<reason>cupy\S{0,80}OutOfMemoryError: Out of memory allocating .{1,120}|std::bad_alloc: (?:out_of_memory: )?CUDA error.{0,160}|Out of memory error on GPU [0-9]{1,3}\..{0,160})",
            r"OutOfMemoryError: Out of memory allocating|std::bad_alloc: out_of_memory|std::bad_alloc: CUDA|Out of memory error on GPU",
            "cupy.cuda.memory.OutOfMemoryError: Out of memory allocating 8,000,000,000 bytes (allocated so far: 12,000,000,000 bytes).",
        ),
        why="the memory of the GPU was full; the program got an error, and the host's memory was not the reason",
        do=(
            ("a smaller batch, or gradient accumulation, or checkpointing", None),
            ("see which processes hold the GPU's memory", "nvidia-smi"),
            ("if most is reserved but unallocated", "export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True"),
        ),
    ),
    _entry(
        "shm",
        "/dev/shm or another tmpfs was full: its size limit, not the host's memory",
        wording(
            r"(?:.{0,60}?Error: )?(?P<reason>Unexpected bus error encountered in worker\..{0,200})",
            "bus error encountered in",
            "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).",
        ),
        wording(
            r"(?:RuntimeError: )?(?P<reason>DataLoader worker \(pid(?:\(s\))? (?P<pid>[0-9]{1,10})[0-9, ]{0,200}\) is killed by signal: Bus error)",
            "is killed by signal: Bus error",
            "RuntimeError: DataLoader worker (pid 1817) is killed by signal: Bus error. It is possible that dataloader's workers are out of shared memory.",
        ),
        wording(
            r"(?:RuntimeError: )?(?P<reason>unable to write to file </torch_\S{1,80}>)",
            "unable to write to file </torch_",
            "RuntimeError: unable to write to file </torch_4711_3f>",
        ),
        why="the file system for shared memory was full (Docker gives a container 64 MB of it): it has a limit of its own, apart "
        "from the host's memory",
        do=(
            ("give the container more of it", "docker run --shm-size=8g IMAGE    # or --ipc=host"),
            ("in Kubernetes: an emptyDir of medium Memory at /dev/shm", None),
            ("see how full it is", "df -h /dev/shm"),
        ),
    ),
    _entry(
        "java",
        "a Java virtual machine ran out of heap, not the host",
        wording(
            r"(?:.{0,200}?\s)?(?P<reason>java\.lang\.OutOfMemoryError: (?:Java heap space|GC overhead limit exceeded|Metaspace|Requested array size exceeds VM limit|Direct buffer memory|Compressed class space|PermGen space).{0,80})",
            r"java\.lang\.OutOfMemoryError: ",
            'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space',
        ),
        wording(
            r"(?:.{0,200}?\s)?(?P<reason>java\.lang\.OutOfMemoryError: unable to create (?:new )?native thread.{0,80})",
            r"java\.lang\.OutOfMemoryError: unable",
            "java.lang.OutOfMemoryError: unable to create native thread: possibly out of memory or process/resource limits reached",
        ),
        wording(
            r"(?:.{0,200}?\s)?(?P<reason>(?:org\.apache\.spark\.memory\.)?SparkOutOfMemoryError: .{0,40}?Unable to acquire [0-9]+ bytes of memory.{0,40})",
            r"SparkOutOfMemoryError: ",
            "org.apache.spark.memory.SparkOutOfMemoryError: Unable to acquire 65536 bytes of memory, got 0",
        ),
        wording(
            r"#? ?(?P<reason>There is insufficient memory for the Java Runtime Environment to continue)",
            "insufficient memory for the Java",
            "# There is insufficient memory for the Java Runtime Environment to continue.",
        ),
        wording(
            r"(?:.{0,200}?\s)?(?P<reason>Shutting down JVM after [0-9]+ consecutive periods of measured GC thrashing.{0,120})",
            "measured GC thrashing",
            "Shutting down JVM after 8 consecutive periods of measured GC thrashing. Memory is used/total/max = 1020/1024/1024 MB",
        ),
        why="the Java virtual machine reached its own limit (-Xmx); nothing was killed, and the host may have had free memory",
        do=(
            (
                "raise the heap, if the host has room",
                "java -Xmx8g -jar APP.jar    # Spark: --driver-memory 8g --executor-memory 8g",
            ),
            ("see what fills it", "java -XX:+HeapDumpOnOutOfMemoryError -jar APP.jar"),
        ),
    ),
    _entry(
        "node",
        "a Node.js (V8) program ran out of heap, not the host",
        wording(
            r"(?:.{0,80}?\s)?(?P<reason>(?:FATAL )?ERROR: .{0,160}?JavaScript heap out of memory)",
            "(?:JavaScript heap out of memory)",
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
        ),
        why="V8 reached its own limit for the heap; the host may have had free memory",
        do=(("raise it, if the host has room", "NODE_OPTIONS=--max-old-space-size=8192 node APP.js"),),
    ),
    _entry(
        "duckdb",
        "DuckDB reached its own memory limit, not the host's",
        wording(
            r"(?:\S{0,80}OutOfMemoryException: )?(?P<reason>Out of Memory Error: (?:could not|failed to) (?:allocate|pin|offload).{0,200})",
            "Out of Memory Error: ",
            "duckdb.duckdb.OutOfMemoryException: Out of Memory Error: could not allocate block of size 256.0 KiB (12.7 GiB/12.7 GiB used)",
        ),
        why="the query reached DuckDB's own memory_limit (80% of the machine by default); nothing was killed",
        do=(
            (
                "let it use the disk, and fewer threads",
                "SET temp_directory='/tmp/duck'; SET threads=2; SET preserve_insertion_order=false;",
            ),
            ("or let it use more", "SET memory_limit='16GB';"),
        ),
    ),
    _entry(
        "ray-store",
        "Ray's object store was full: its size limit, not the host's memory",
        wording(
            r"(?:ray\.exceptions\.)?(?P<reason>ObjectStoreFullError: .{0,200})",
            "ObjectStoreFullError: ",
            "ray.exceptions.ObjectStoreFullError: Failed to put object 00ff in object store because it is full.",
        ),
        why="the shared memory that Ray keeps objects in was full (30% of the machine by default; in Docker, what /dev/shm has)",
        do=(
            (
                "give it more, and let go of references that are no longer needed (del ref)",
                "ray.init(object_store_memory=SIZE_IN_BYTES)",
            ),
            ("see what holds it", "ray memory"),
        ),
    ),
    _entry(
        "dask-paused",
        "a Dask worker was near its own memory limit, and was not killed",
        wording(
            r"(?:distributed\.\S{1,60} - WARNING - |- )?(?P<reason>Worker is at [0-9]{1,3}% memory usage\. Pausing worker\..{0,200})",
            "% memory usage. Pausing worker",
            "distributed.worker.memory - WARNING - Worker is at 80% memory usage. Pausing worker.  Process memory: 3.12 GiB -- Worker memory limit: 3.91 GiB",
        ),
        wording(
            r"(?:distributed\.\S{1,60} - WARNING - |- )?(?P<reason>Unmanaged memory use is high\..{0,400})",
            "Unmanaged memory use is high",
            "distributed.worker.memory - WARNING - Unmanaged memory use is high. This may indicate a memory leak",
        ),
        why="the worker neared its own memory limit and takes no new tasks; at 95% of it the nanny would restart it",
        do=(
            (
                "fewer threads for each worker, more memory for each, smaller partitions",
                "dask worker --nthreads 1 --memory-limit SIZE ADDRESS",
            ),
        ),
    ),
    _entry(
        "heroku-quota",
        "a Heroku dyno exceeded its memory and swaps",
        wording(
            r"(?P<reason>Error R14 \(Memory quota exceeded\))",
            r"Error R14 \(Memory",
            "2026-03-01T10:00:00.000000+00:00 heroku[web.1]: Error R14 (Memory quota exceeded)",
        ),
        why="the dyno is over its memory quota and swaps; at twice the quota Heroku ends it (R15)",
        do=(
            (
                "use a larger dyno, or fewer workers",
                "heroku ps:resize web=performance-l; heroku config:set WEB_CONCURRENCY=1",
            ),
        ),
    ),
    _entry(
        "refused",
        "memory was asked for and refused",
        wording(
            r"(?:numpy\.\S{0,60}?)?(?:_Array)?MemoryError: (?P<reason>Unable to allocate .{1,200})",
            "MemoryError: Unable to allocate",
            "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 14.9 GiB for an array with shape (2000000000,) and data type float64",
        ),
        wording(
            r"(?:pyarrow\.lib\.)?ArrowMemoryError: (?P<reason>(?:m|re)alloc of size [0-9]+ failed)",
            "ArrowMemoryError: ",
            "pyarrow.lib.ArrowMemoryError: malloc of size 17179869184 failed",
        ),
        wording(
            r"(?:.{0,120}?\s)?(?P<reason>os::commit_memory\(.{1,80}?\) failed; error='[^']{1,60}' \(err(?:no|or)=12\))",
            "os::commit_memory",
            "OpenJDK 64-Bit Server VM warning: INFO: os::commit_memory(0x00000006c0000000, 4294967296, 0) failed; error='Not enough space' (errno=12)",
        ),
        wording(
            r"(?:.{0,80}?\s)?ggml_aligned_malloc: (?P<reason>insufficient memory.{0,120})",
            "insufficient memory",
            "ggml_aligned_malloc: insufficient memory (attempted to allocate 12345.67 MB)",
        ),
        wording(  # BuildKit, of a step that the kernel refused memory
            r"(?:ERROR: )?(?:failed to (?:build|solve): )?(?:ResourceExhausted: )?(?P<reason>process \".{1,400}?\" did not complete successfully: cannot allocate memory)",
            "did not complete successfully: cannot allocate",
            'ERROR: failed to solve: ResourceExhausted: process "/bin/sh -c make" did not complete successfully: cannot allocate memory',
        ),
        wording(r"(?P<reason>MemoryError)\s*$", r"MemoryError(?:[ \t\r]*(?:\n|\Z)|\x1b|\\n|\")", "MemoryError"),
        wording(
            r"(?:terminate called after throwing an instance of '|.{0,80}?what\(\):\s+)(?P<reason>std::bad_alloc)",
            r"std::bad_alloc",
            "terminate called after throwing an instance of 'std::bad_alloc'",
        ),
        wording(
            r"(?P<reason>(?:fatal error: )?runtime: (?:out of memory|cannot allocate memory))",
            "runtime: out of memory|runtime: cannot allocate memory",
            "fatal error: runtime: out of memory",
        ),
        wording(
            r"(?:.{0,200}?\s)?(?P<reason>DefaultCPUAllocator: (?:not enough memory|can't allocate memory): you tried to allocate [0-9]+ bytes|memory allocation of [0-9]+ bytes failed|cannot allocate vector of size [0-9.]+ [KMG]b)",
            "enough memory: you tried|allocate memory: you tried|memory allocation of [0-9]|cannot allocate vector of size",
            "RuntimeError: [enforce fail at alloc_cpu.cpp:75] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 16000000000 bytes.",
        ),
        wording(
            rf"(?:.{{0,160}}?\s)?(?P<reason>(?:OSError: )?\[Errno 12\] (?:{_REFUSED})|fork: (?:{_REFUSED})|(?:InnoDB: )?Cannot allocate memory for the buffer pool)",
            rf"\[Errno 12\] |fork: (?:{_REFUSED})|annot allocate memory for the buffer",
            "OSError: [Errno 12] 无法分配内存",
        ),
        wording(
            r"(?:.{0,160}?\s)?(?P<reason>unable to mmap [0-9]+ bytes .{0,120}?Cannot allocate memory|System\.OutOfMemoryException|Allowed memory size of [0-9]+ bytes exhausted)",
            r"unable to mmap [0-9]+ bytes .{0,120}?Cannot allocate memory|System\.OutOfMemoryException|Allowed memory size of [0-9]",
            "php: Allowed memory size of 134217728 bytes exhausted",
        ),
        wording(  # pandas, ONNX Runtime, Ruby, MATLAB, Perl
            r"(?:.{0,160}?\s)?(?P<reason>C error: out of memory|Failed to allocate memory for requested buffer of size [0-9]+|NoMemoryError: failed to allocate memory|failed to allocate memory \(NoMemoryError\))",
            r"C error: out of memory|memory for requested buffer of size|NoMemoryError: failed|memory \(NoMemoryError\)",
            "pandas.errors.ParserError: Error tokenizing data. C error: out of memory",
        ),
        wording(
            r"(?P<reason>Out of memory(?:!|\. Type \"help memory\" for your options\.))\s*$",
            r'Out of memory!|Out of memory\. Type "help',
            'Out of memory. Type "help memory" for your options.',
        ),
        wording(
            r"(?:ERROR: )?(?P<reason>OutOfMemoryError\(\))\s*$",
            r"OutOfMemoryError\(\)",
            "ERROR: OutOfMemoryError()",
        ),
        wording(
            r"(?P<reason>Requested [0-9x]{3,60} \([0-9.]{1,12}[KMGT]?B\) array exceeds maximum array size preference)",
            "array exceeds maximum array size",
            "Requested 200000x200000 (298.0GB) array exceeds maximum array size preference.",
        ),
        why="the program asked for more than it could get, and got an error; nothing was killed",
        do=(
            ("see how much there is, and which limits hold here", "oomguard doctor"),
            ("see which line asks for it, and how much it would need", "oomguard check SCRIPT.py"),
        ),
    ),
    _entry(
        "database",
        "a query or a database reached its own memory limit, not the host's",
        wording(
            r"(?:.{0,200}?DB::Exception: )?(?P<reason>Memory limit \((?:total|for query|for user)\) exceeded: would use .{1,160})",
            r"Memory limit \((?:total|for query|for user)\) exceeded",
            "Code: 241. DB::Exception: Memory limit (total) exceeded: would use 7.00 GiB (attempt to allocate chunk of 4194304 bytes), maximum: 7.00 GiB.",
        ),
        wording(
            r"(?:.{0,120}?\s)?(?P<reason>Query exceeded (?:per-node|distributed)(?: user| total)? memory limit of [0-9.]+ ?[KMGT]?B.{0,100})",
            "Query exceeded (?:per-node|distributed)",
            "Query exceeded per-node memory limit of 10GB [Allocated: 9.99GB, Delta: 24.3MB]",
        ),
        wording(
            r"(?:.{0,80}?\s)?\(?(?:error\) )?(?P<reason>OOM command not allowed when used memory > 'maxmemory')",
            "OOM command not allowed when used",
            "(error) OOM command not allowed when used memory > 'maxmemory'.",
        ),
        wording(
            r"(?P<reason>Function available memory exhausted)",
            "Function available memory exhausted",
            "Function available memory exhausted. Please visit https://docs.snowflake.com for more information.",
        ),
        why="the limit was set in the database; nothing was killed, and the host may have had free memory",
        do=(("read and join less at a time, let the query use the disk, or raise the limit in its settings", None),),
    ),
    _entry(
        "windows",
        "Windows could not commit more memory: its paging file is full",
        wording(
            r"(?:.{0,120}?\s)?(?:OSError: )?\[WinError 1455\] (?P<reason>.{4,120})",
            r"\[WinError 1455\]",
            'OSError: [WinError 1455] The paging file is too small for this operation to complete. Error loading "torch.dll".',
        ),
        wording(
            r"(?P<reason>The paging file is too small for this operation to complete.{0,80}|Windows successfully diagnosed a low virtual memory condition.{0,300})",
            "paging file is too small|low virtual memory condition",
            "Windows successfully diagnosed a low virtual memory condition. The following programs consumed the most virtual memory: python.exe (4711) consumed 30123456789 bytes",
        ),
        why="Windows reserves room for all that a process maps, and the paging file was too small for the sum; nothing was killed",
        do=(
            ("fewer workers: each loads its own copy of the libraries", "DataLoader(..., num_workers=0)"),
            ("or a larger paging file: System, Advanced system settings, Performance, Virtual memory", None),
        ),
    ),
    _entry(
        "macos-full",
        "macOS ran out of memory and asks which application to end",
        wording(
            r"(?P<reason>Your system has run out of application memory)",
            "run out of application memory",
            "Your system has run out of application memory.",
        ),
        why="memory and the disk for swap were full; macOS stopped applications and asked; it does not say that it killed one",
        do=(("see what holds memory, in Activity Monitor or", "memory_pressure; top -o mem -l 1 | head -20"),),
    ),
)
