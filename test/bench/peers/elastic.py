"""A data-parallel loop for torchrun: as long a computation as is asked for, an all-reduce by gloo, a checkpoint each step.

Rank 0 appends a line to OUT for each step; each rank leaves its process id in OUT.RANK. After a restart of all ranks, which is what
torchrun does when one dies, the loop goes on from the checkpoint.
"""

import argparse, datetime, json, os, time

arguments = argparse.ArgumentParser()
arguments.add_argument("--out", required=True)
arguments.add_argument("--seconds", type=float, required=True)
arguments.add_argument("--values", type=int, default=100_000)


def main(out, seconds, values):
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    # A restart that gloo never finishes is given up after so long, and the agent begins another.
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=20))
    with open(f"{out}.{rank}", "w") as file:
        file.write(str(os.getpid()))
    checkpoint = f"{out}.checkpoint"
    step, parameters = torch.load(checkpoint) if os.path.exists(checkpoint) else (0, torch.zeros(values))
    while True:
        time.sleep(seconds)
        gradient = torch.ones(values)
        dist.all_reduce(gradient)
        parameters -= gradient
        step += 1
        if rank == 0:
            torch.save((step, parameters), f"{checkpoint}.writing")
            os.replace(f"{checkpoint}.writing", checkpoint)
            with open(out, "a") as file:
                file.write(json.dumps({"step": step, "at": time.time() * 1e3}) + "\n")


if __name__ == "__main__":
    a = arguments.parse_args()
    main(a.out, a.seconds, a.values)
