import type { SegmentName } from '../tensors/layout.js';

/** What is trained: the decoder alone under a frozen encoder, or both. */
export const phaseNames = ['decoder-only', 'joint'] as const;
export type PhaseName = (typeof phaseNames)[number];

const trained: Record<PhaseName, readonly SegmentName[]> = {
  'decoder-only': ['decoder', 'embedding'],
  joint: ['decoder', 'embedding', 'encoder', 'statistics'],
};

/** The segments that a step of the phase changes, in layout order. */
export function trainedSegments(phase: PhaseName): readonly SegmentName[] {
  return trained[phase];
}
