#!/usr/bin/env python3
"""Show-and-Tell (im2txt) training-step benchmark in PyTorch, synthetic data in memory.

One step = forward + masked cross-entropy + backward + global-norm clip 5.0 + SGD.
  --phase decoder   frozen Inception v3 (eval mode, forward runs every step), decoder trains, lr 2.0
  --phase joint     everything trains, batch norm in training mode, lr 0.0005
  --features        decoder phase on precomputed 2048-d features (no CNN at all)
Prints one JSON object on stdout.
"""
import argparse, json, os, platform, statistics, sys, time

ap = argparse.ArgumentParser()
ap.add_argument("--phase", choices=["decoder", "joint"], default="decoder")
ap.add_argument("--batch", type=int, default=8)
ap.add_argument("--size", type=int, default=299)
ap.add_argument("--steps", type=int, default=10)
ap.add_argument("--warmup", type=int, default=3)
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--vocab", type=int, default=12000)
ap.add_argument("--dim", type=int, default=512)
ap.add_argument("--caplen", type=int, default=20)
ap.add_argument("--channels-last", action="store_true")
ap.add_argument("--compile", action="store_true")
ap.add_argument("--bf16", action="store_true", help="torch.autocast('cpu', bfloat16)")
ap.add_argument("--features", action="store_true")
ap.add_argument("--fold-bn", action="store_true", help="decoder phase: fold frozen BN into the convolutions")
ap.add_argument("--fused-sgd", action="store_true")
ap.add_argument("--lr", type=float, default=None)
ap.add_argument("--seed", type=int, default=0)
ap.add_argument("--encoder", choices=["inception_v1", "inception_v3", "inception_resnet_v2"], default="inception_v3",
                help="torchvision's GoogLeNet (with batch norm, as slim's V1), torchvision's V3, timm's Inception-ResNet-v2")
a = ap.parse_args()
if a.features and a.phase != "decoder":
    ap.error("--features only makes sense with --phase decoder")
if a.fold_bn and a.phase != "decoder":
    ap.error("--fold-bn needs a frozen CNN (--phase decoder)")
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(a.threads)

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(a.threads)
torch.manual_seed(a.seed)


# ---- how noisy was the machine -------------------------------------------------
def cpu_snapshot():
    f = open("/proc/stat").readline().split()[1:]
    hz = os.sysconf("SC_CLK_TCK")
    v = [int(x) / hz for x in f]
    busy = v[0] + v[1] + v[2] + v[5] + v[6]
    t = os.times()
    return time.time(), busy, t.user + t.system + t.children_user + t.children_system, v[7]


def other_cpus(s0, s1):
    """Mean number of CPUs that processes other than this one kept busy, and stolen CPUs."""
    dt = s1[0] - s0[0]
    return round(max(0.0, (s1[1] - s0[1]) - (s1[2] - s0[2])) / dt, 2), round((s1[3] - s0[3]) / dt, 3)


def peak_rss_mib():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1024, 1)


# ---- model ---------------------------------------------------------------------
class Decoder(nn.Module):
    def __init__(self, vocab, dim, feat=2048, drop=0.3):
        super().__init__()
        self.img = nn.Linear(feat, dim, bias=False)
        self.emb = nn.Embedding(vocab, dim)
        self.lstm = nn.LSTM(dim, dim, batch_first=True)
        self.out = nn.Linear(dim, vocab)
        self.drop = nn.Dropout(drop)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.uniform_(p, -0.08, 0.08)
            else:
                nn.init.zeros_(p)
        with torch.no_grad():                       # forget-gate bias 1.0 (gate order i f g o)
            self.lstm.bias_ih_l0[dim:2 * dim].fill_(1.0)

    def forward(self, feat, inp, tgt, mask):
        x = torch.cat([self.img(feat).unsqueeze(1), self.emb(inp)], 1)   # image is step 0
        h, _ = self.lstm(self.drop(x))
        logits = self.out(self.drop(h[:, 1:]))                           # its output is dropped
        ce = F.cross_entropy(logits.reshape(-1, logits.size(-1)).float(), tgt.reshape(-1), reduction="none")
        m = mask.reshape(-1)
        return (ce * m).sum() / m.sum()


FEATURES = {"inception_v1": 1024, "inception_v3": 2048, "inception_resnet_v2": 1536}[a.encoder]


def make_cnn():
    if a.encoder == "inception_resnet_v2":
        import timm
        return timm.create_model("inception_resnet_v2", pretrained=False, num_classes=0, drop_rate=0.2)
    import torchvision
    if a.encoder == "inception_v1":
        cnn = torchvision.models.googlenet(weights=None, aux_logits=False, transform_input=False, init_weights=True)
        cnn.fc = nn.Identity()
        return cnn
    cnn = torchvision.models.inception_v3(weights=None, aux_logits=False,
                                          transform_input=False, init_weights=True)
    cnn.fc = nn.Identity()
    cnn.dropout = nn.Dropout(0.2)
    return cnn


def fold_bn(cnn):
    from torch.nn.utils.fusion import fuse_conv_bn_eval
    for m in cnn.modules():
        if hasattr(m, "conv") and hasattr(m, "bn") and isinstance(m.bn, nn.BatchNorm2d):
            m.conv = fuse_conv_bn_eval(m.conv.eval(), m.bn.eval())
            m.bn = nn.Identity()


def batch():
    inp = torch.randint(0, a.vocab, (a.batch, a.caplen))
    tgt = torch.randint(0, a.vocab, (a.batch, a.caplen))
    n = torch.randint(a.caplen // 2, a.caplen + 1, (a.batch, 1))
    n[0] = a.caplen                                  # one caption fills the window
    return inp, tgt, (torch.arange(a.caplen)[None] < n).float()


dec = Decoder(a.vocab, a.dim, FEATURES).train()
cnn = None
if not a.features:
    cnn = make_cnn()
    if a.channels_last:
        cnn = cnn.to(memory_format=torch.channels_last)
    if a.phase == "decoder":
        # Random weights with default running statistics blow activations up, so
        # calibrate the running statistics before freezing.
        for m in cnn.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.momentum = None
        cnn.train()
        with torch.no_grad():
            for _ in range(2):
                cnn(torch.rand(8, 3, a.size, a.size) * 2 - 1)
        cnn.eval().requires_grad_(False)
        if a.fold_bn:
            fold_bn(cnn)
    else:
        cnn.train()

params = [p for m in ([dec] if cnn is None or a.phase == "decoder" else [dec, cnn]) for p in m.parameters()]
lr = a.lr if a.lr is not None else (2.0 if a.phase == "decoder" else 5e-4)
opt = torch.optim.SGD(params, lr=lr, fused=True if a.fused_sgd else None)

cnn_f, dec_f = cnn, dec
if a.compile:
    dec_f = torch.compile(dec)
    if cnn is not None:
        cnn_f = torch.compile(cnn)

data = []
for _ in range(2):
    if a.features:
        x = torch.randn(a.batch, FEATURES).abs()
    else:
        x = torch.rand(a.batch, 3, a.size, a.size) * 2 - 1
        if a.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
    data.append((x,) + batch())


gradient_ms = []


def step(x, inp, tgt, mask):
    began = time.perf_counter()
    opt.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.bf16):
        if cnn is None:
            feat = x
        elif a.phase == "decoder":
            with torch.no_grad():
                feat = cnn_f(x)
        else:
            feat = cnn_f(x)
        loss = dec_f(feat, inp, tgt, mask)
    loss.backward()
    gradient_ms.append((time.perf_counter() - began) * 1e3)
    torch.nn.utils.clip_grad_norm_(params, 5.0)
    opt.step()
    return loss.item()


load0 = os.getloadavg()[0]
t0 = time.perf_counter()
losses = [step(*data[0])]
first_s = time.perf_counter() - t0
for i in range(a.warmup - 1):
    losses.append(step(*data[i % 2]))
s0, ms = cpu_snapshot(), []
for i in range(a.steps):
    t0 = time.perf_counter()
    losses.append(step(*data[i % 2]))
    ms.append((time.perf_counter() - t0) * 1e3)
s1 = cpu_snapshot()
gradient_ms = sorted(gradient_ms[-a.steps:])
oc, st = other_cpus(s0, s1)
ms.sort()
med = statistics.median(ms)
print(json.dumps({
    "bench": "torch_im2txt", "encoder": a.encoder, "phase": a.phase, "features": a.features, "batch": a.batch, "size": a.size,
    "threads": a.threads, "channels_last": a.channels_last, "compile": a.compile, "bf16": a.bf16,
    "fold_bn": a.fold_bn, "fused_sgd": a.fused_sgd, "steps": a.steps, "lr": lr,
    "trainable_params": sum(p.numel() for p in params),
    "step_ms_median": round(med, 2), "step_ms_min": round(ms[0], 2), "step_ms_max": round(ms[-1], 2),
    "gradient_ms_median": round(statistics.median(gradient_ms), 2),
    "images_per_s": round(a.batch * 1e3 / med, 3), "peak_rss_mib": peak_rss_mib(),
    "first_step_s": round(first_s, 2), "loss_first": round(losses[0], 4), "loss_last": round(losses[-1], 4),
    "load1_before": load0, "load1_after": os.getloadavg()[0], "other_busy_cpus": oc, "steal_cpus": st,
    "torch": torch.__version__, "python": platform.python_version(),
}))
