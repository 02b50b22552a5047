"""All-reduce of a float32 gradient by gloo between two processes with one thread each; prints one JSON line."""

import argparse, json, os, socket, statistics, time

arguments = argparse.ArgumentParser()
arguments.add_argument("--numel", type=int, default=37_250_560)
arguments.add_argument("--reps", type=int, default=12)
arguments.add_argument("--workers", type=int, default=2)


def worker(rank, workers, port, numel, reps, queue):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo", OMP_NUM_THREADS="1")
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=workers)
    gradient = torch.ones(numel)
    times = []
    for repetition in range(2 + reps):
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(gradient)
        slowest = torch.tensor([time.perf_counter() - start])
        dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
        if repetition >= 2:
            times.append(slowest.item() * 1e3)
        assert gradient[0].item() == workers and gradient[-1].item() == workers
        gradient.fill_(1.0)
    dist.barrier()
    dist.destroy_process_group()
    if rank == 0:
        queue.put({"ms": times, "median": statistics.median(times), "torch": torch.__version__})


if __name__ == "__main__":
    a = arguments.parse_args()
    import torch.multiprocessing as mp

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    queue = mp.get_context("spawn").SimpleQueue()
    mp.spawn(worker, args=(a.workers, port, a.numel, a.reps, queue), nprocs=a.workers)
    print(json.dumps(queue.get()), flush=True)
