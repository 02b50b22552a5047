import type { ParameterLayout } from '@showtell/shared/tensors/layout.js';
import { allocateShared } from '@showtell/shared/tensors/shared-memory.js';
import type { GradientBuffers } from './engine/engine.js';
import { Bell } from './bell.js';

/**
 * Two sets of gradient buffers: one is computed into while the other is sent. The encoder's part is made at the first
 * joint step.
 */
export class GradientBufferPool {
  private readonly free: GradientBuffers[] = [];
  private readonly bell = new Bell();
  private made = 0;

  /** @param embeddingRows elements of the largest unit's rows, B · T · E */
  constructor(
    private readonly layout: ParameterLayout,
    private readonly embeddingRows: number,
  ) {}

  async take(withEncoder: boolean): Promise<GradientBuffers> {
    for (;;) {
      const seen = this.bell.rung;
      const found = this.free.pop() ?? (this.made < 2 ? this.make() : undefined);
      if (found !== undefined) return withEncoder && found.encoder === undefined ? this.withEncoder(found) : found;
      await this.bell.after(seen);
    }
  }

  giveBack(buffers: GradientBuffers): void {
    this.free.push(buffers);
    this.bell.ring();
  }

  private make(): GradientBuffers {
    this.made++;
    return { decoder: floats(this.layout.elements.decoder), embeddingRows: floats(this.embeddingRows) };
  }

  private withEncoder(buffers: GradientBuffers): GradientBuffers {
    const { encoder, statistics } = this.layout.elements;
    return { ...buffers, encoder: floats(encoder), statistics: floats(statistics) };
  }
}

function floats(elements: number): Float32Array {
  return new Float32Array(allocateShared(elements * Float32Array.BYTES_PER_ELEMENT), 0, elements);
}
