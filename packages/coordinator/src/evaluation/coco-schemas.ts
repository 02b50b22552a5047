import { z } from 'zod';

/** COCO's ids are numbers; other sets in its format use file names. */
const imageId = z.union([z.int(), z.string().min(1)]);
export type ImageId = z.infer<typeof imageId>;

export const annotationsSchema = z.object({
  images: z.array(z.object({ id: imageId })),
  annotations: z.array(z.object({ image_id: imageId, caption: z.string() })),
});
export type Annotations = z.infer<typeof annotationsSchema>;

export const resultsSchema = z.array(z.object({ image_id: imageId, caption: z.string() }));
export type Results = z.infer<typeof resultsSchema>;
