import type { FaultContext } from './fault-context.js';
import type { Link, LinkName } from './lab-run.js';
import type { Toxic, ToxicLink } from './toxiproxy.js';

const both = ['upstream', 'downstream'] as const;

function linkOf({ run, fault }: FaultContext): Link {
  return run.link(fault.target as LinkName);
}

function toxicOf(context: FaultContext): ToxicLink {
  const { toxic } = linkOf(context);
  if (toxic === null) throw new Error('there is no Toxiproxy');
  return toxic;
}

export async function cut(context: FaultContext): Promise<boolean> {
  const toxic = toxicOf(context);
  await toxic.enable(false);
  await context.lasts();
  await toxic.enable(true);
  return true;
}

async function withToxics(context: FaultContext, toxics: readonly Toxic[]): Promise<boolean> {
  const remove = await toxicOf(context).add(...toxics);
  await context.lasts();
  await remove();
  return true;
}

export function delayed(context: FaultContext): Promise<boolean> {
  const attributes = { latency: context.fault.amount, jitter: Math.floor(context.fault.amount / 2) };
  return withToxics(
    context,
    both.map((stream) => ({ type: 'latency', stream, attributes })),
  );
}

export function throttled(context: FaultContext): Promise<boolean> {
  return withToxics(
    context,
    both.map((stream) => ({ type: 'bandwidth', stream, attributes: { rate: context.fault.amount } })),
  );
}

/** One way nothing arrives any more while the connection stands; it is closed when the toxic goes. */
export function halfOpen(context: FaultContext): Promise<boolean> {
  const stream = context.fault.amount === 0 ? 'upstream' : 'downstream';
  return withToxics(context, [{ type: 'timeout', stream, attributes: { timeout: 0 } }]);
}

export async function flipBytes(context: FaultContext): Promise<boolean> {
  const { meddler } = linkOf(context);
  meddler.flip(context.fault.amount);
  await context.lasts();
  return meddler.stopFlipping() < context.fault.amount;
}

export async function reorder(context: FaultContext): Promise<boolean> {
  const { meddler } = linkOf(context);
  meddler.reorders = true;
  await context.lasts();
  meddler.reorders = false;
  return true;
}

export async function repeat(context: FaultContext): Promise<boolean> {
  const { meddler } = linkOf(context);
  meddler.repeats = true;
  await context.lasts();
  meddler.repeats = false;
  return true;
}
