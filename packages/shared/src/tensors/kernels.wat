;; The loops that every value passes on its way from gradients to the next version, four float32 at a time.
;; Addresses are multiples of 16. n counts elements and is rounded up to a multiple of 4, to 8 by the bfloat16 pair:
;; the caller keeps zeros behind the last element. No operation here is fused or relaxed, so each lane has the bits of
;; the same operations in any other language; docs/checkpoints.md says which they are.
(module
  (import "env" "memory" (memory 1))

  ;; values <- values * weight; returns whether any of the values was infinite or not a number
  (func (export "weigh") (param $values i32) (param $n i32) (param $weight f32) (result i32)
    (local $end i32) (local $v v128) (local $w v128) (local $bad v128) (local $exponent v128)
    (local.set $end (i32.add (local.get $values) (i32.shl (local.get $n) (i32.const 2))))
    (local.set $w (f32x4.splat (local.get $weight)))
    (local.set $exponent (i32x4.splat (i32.const 0x7f800000)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $values) (local.get $end)))
        (local.set $v (v128.load (local.get $values)))
        (local.set $bad (v128.or (local.get $bad)
          (i32x4.eq (v128.and (local.get $v) (local.get $exponent)) (local.get $exponent))))
        (v128.store (local.get $values) (f32x4.mul (local.get $v) (local.get $w)))
        (local.set $values (i32.add (local.get $values) (i32.const 16)))
        (br $next)))
    (v128.any_true (local.get $bad)))

  ;; sum <- sum + values
  (func (export "add") (param $sum i32) (param $values i32) (param $n i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $sum) (i32.shl (local.get $n) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $sum) (local.get $end)))
        (v128.store (local.get $sum) (f32x4.add (v128.load (local.get $sum)) (v128.load (local.get $values))))
        (local.set $sum (i32.add (local.get $sum) (i32.const 16)))
        (local.set $values (i32.add (local.get $values) (i32.const 16)))
        (br $next))))

  ;; values <- values / divisor
  (func (export "divide") (param $values i32) (param $n i32) (param $divisor f32)
    (local $end i32) (local $d v128)
    (local.set $end (i32.add (local.get $values) (i32.shl (local.get $n) (i32.const 2))))
    (local.set $d (f32x4.splat (local.get $divisor)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $values) (local.get $end)))
        (v128.store (local.get $values) (f32x4.div (v128.load (local.get $values)) (local.get $d)))
        (local.set $values (i32.add (local.get $values) (i32.const 16)))
        (br $next))))

  ;; gradient <- gradient + l2 * parameters
  (func (export "addDecay") (param $gradient i32) (param $parameters i32) (param $n i32) (param $l2 f32)
    (local $end i32) (local $r v128)
    (local.set $end (i32.add (local.get $gradient) (i32.shl (local.get $n) (i32.const 2))))
    (local.set $r (f32x4.splat (local.get $l2)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $gradient) (local.get $end)))
        (v128.store (local.get $gradient) (f32x4.add (v128.load (local.get $gradient))
          (f32x4.mul (local.get $r) (v128.load (local.get $parameters)))))
        (local.set $gradient (i32.add (local.get $gradient) (i32.const 16)))
        (local.set $parameters (i32.add (local.get $parameters) (i32.const 16)))
        (br $next))))

  ;; the sum of squares in float64: of each of the four lanes in order, then (s0 + s1) + (s2 + s3)
  (func (export "sumOfSquares") (param $values i32) (param $n i32) (result f64)
    (local $end i32) (local $v v128) (local $d v128) (local $low v128) (local $high v128)
    (local.set $end (i32.add (local.get $values) (i32.shl (local.get $n) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $values) (local.get $end)))
        (local.set $v (v128.load (local.get $values)))
        (local.set $d (f64x2.promote_low_f32x4 (local.get $v)))
        (local.set $low (f64x2.add (local.get $low) (f64x2.mul (local.get $d) (local.get $d))))
        (local.set $d (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $v) (local.get $v))))
        (local.set $high (f64x2.add (local.get $high) (f64x2.mul (local.get $d) (local.get $d))))
        (local.set $values (i32.add (local.get $values) (i32.const 16)))
        (br $next)))
    (f64.add
      (f64.add (f64x2.extract_lane 0 (local.get $low)) (f64x2.extract_lane 1 (local.get $low)))
      (f64.add (f64x2.extract_lane 0 (local.get $high)) (f64x2.extract_lane 1 (local.get $high)))))

  ;; parameters <- parameters - rate * (scale * gradient)
  (func (export "descend") (param $parameters i32) (param $gradient i32) (param $n i32) (param $scale f32) (param $rate f32)
    (local $end i32) (local $s v128) (local $r v128)
    (local.set $end (i32.add (local.get $parameters) (i32.shl (local.get $n) (i32.const 2))))
    (local.set $s (f32x4.splat (local.get $scale)))
    (local.set $r (f32x4.splat (local.get $rate)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $parameters) (local.get $end)))
        (v128.store (local.get $parameters) (f32x4.sub (v128.load (local.get $parameters))
          (f32x4.mul (local.get $r) (f32x4.mul (local.get $s) (v128.load (local.get $gradient))))))
        (local.set $parameters (i32.add (local.get $parameters) (i32.const 16)))
        (local.set $gradient (i32.add (local.get $gradient) (i32.const 16)))
        (br $next))))

  ;; velocity <- momentum * velocity + scale * gradient; parameters <- parameters - rate * velocity
  (func (export "descendWithMomentum") (param $parameters i32) (param $velocity i32) (param $gradient i32) (param $n i32)
    (param $scale f32) (param $rate f32) (param $momentum f32)
    (local $end i32) (local $s v128) (local $r v128) (local $m v128) (local $v v128)
    (local.set $end (i32.add (local.get $parameters) (i32.shl (local.get $n) (i32.const 2))))
    (local.set $s (f32x4.splat (local.get $scale)))
    (local.set $r (f32x4.splat (local.get $rate)))
    (local.set $m (f32x4.splat (local.get $momentum)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $parameters) (local.get $end)))
        (local.set $v (f32x4.add (f32x4.mul (local.get $m) (v128.load (local.get $velocity)))
          (f32x4.mul (local.get $s) (v128.load (local.get $gradient)))))
        (v128.store (local.get $velocity) (local.get $v))
        (v128.store (local.get $parameters)
          (f32x4.sub (v128.load (local.get $parameters)) (f32x4.mul (local.get $r) (local.get $v))))
        (local.set $parameters (i32.add (local.get $parameters) (i32.const 16)))
        (local.set $velocity (i32.add (local.get $velocity) (i32.const 16)))
        (local.set $gradient (i32.add (local.get $gradient) (i32.const 16)))
        (br $next))))

  ;; g = scale * gradient; square <- square + (g * g - square) * (1 - decay);
  ;; velocity <- momentum * velocity + rate * g / sqrt(square + epsilon); parameters <- parameters - velocity
  (func (export "descendWithRmsprop") (param $parameters i32) (param $square i32) (param $velocity i32)
    (param $gradient i32) (param $n i32)
    (param $scale f32) (param $rate f32) (param $decay f32) (param $momentum f32) (param $epsilon f32)
    (local $end i32) (local $s v128) (local $r v128) (local $d v128) (local $m v128) (local $e v128)
    (local $g v128) (local $q v128) (local $v v128)
    (local.set $end (i32.add (local.get $parameters) (i32.shl (local.get $n) (i32.const 2))))
    (local.set $s (f32x4.splat (local.get $scale)))
    (local.set $r (f32x4.splat (local.get $rate)))
    (local.set $d (f32x4.splat (f32.sub (f32.const 1) (local.get $decay))))
    (local.set $m (f32x4.splat (local.get $momentum)))
    (local.set $e (f32x4.splat (local.get $epsilon)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $parameters) (local.get $end)))
        (local.set $g (f32x4.mul (local.get $s) (v128.load (local.get $gradient))))
        (local.set $q (v128.load (local.get $square)))
        (local.set $q (f32x4.add (local.get $q) (f32x4.mul
          (f32x4.sub (f32x4.mul (local.get $g) (local.get $g)) (local.get $q)) (local.get $d))))
        (v128.store (local.get $square) (local.get $q))
        (local.set $v (f32x4.add (f32x4.mul (local.get $m) (v128.load (local.get $velocity)))
          (f32x4.div (f32x4.mul (local.get $r) (local.get $g))
            (f32x4.sqrt (f32x4.add (local.get $q) (local.get $e))))))
        (v128.store (local.get $velocity) (local.get $v))
        (v128.store (local.get $parameters) (f32x4.sub (v128.load (local.get $parameters)) (local.get $v)))
        (local.set $parameters (i32.add (local.get $parameters) (i32.const 16)))
        (local.set $square (i32.add (local.get $square) (i32.const 16)))
        (local.set $velocity (i32.add (local.get $velocity) (i32.const 16)))
        (local.set $gradient (i32.add (local.get $gradient) (i32.const 16)))
        (br $next))))

  ;; g = scale * gradient; mean <- mean + (g - mean) * (1 - beta1); square <- square + (g * g - square) * (1 - beta2);
  ;; parameters <- parameters - rate * mean / (sqrt(square) + epsilon)
  (func (export "descendWithAdam") (param $parameters i32) (param $mean i32) (param $square i32)
    (param $gradient i32) (param $n i32)
    (param $scale f32) (param $rate f32) (param $beta1 f32) (param $beta2 f32) (param $epsilon f32)
    (local $end i32) (local $s v128) (local $r v128) (local $b1 v128) (local $b2 v128) (local $e v128)
    (local $g v128) (local $m v128) (local $q v128)
    (local.set $end (i32.add (local.get $parameters) (i32.shl (local.get $n) (i32.const 2))))
    (local.set $s (f32x4.splat (local.get $scale)))
    (local.set $r (f32x4.splat (local.get $rate)))
    (local.set $b1 (f32x4.splat (f32.sub (f32.const 1) (local.get $beta1))))
    (local.set $b2 (f32x4.splat (f32.sub (f32.const 1) (local.get $beta2))))
    (local.set $e (f32x4.splat (local.get $epsilon)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $parameters) (local.get $end)))
        (local.set $g (f32x4.mul (local.get $s) (v128.load (local.get $gradient))))
        (local.set $m (v128.load (local.get $mean)))
        (local.set $m (f32x4.add (local.get $m)
          (f32x4.mul (f32x4.sub (local.get $g) (local.get $m)) (local.get $b1))))
        (v128.store (local.get $mean) (local.get $m))
        (local.set $q (v128.load (local.get $square)))
        (local.set $q (f32x4.add (local.get $q) (f32x4.mul
          (f32x4.sub (f32x4.mul (local.get $g) (local.get $g)) (local.get $q)) (local.get $b2))))
        (v128.store (local.get $square) (local.get $q))
        (v128.store (local.get $parameters) (f32x4.sub (v128.load (local.get $parameters))
          (f32x4.div (f32x4.mul (local.get $r) (local.get $m))
            (f32x4.add (f32x4.sqrt (local.get $q)) (local.get $e)))))
        (local.set $parameters (i32.add (local.get $parameters) (i32.const 16)))
        (local.set $mean (i32.add (local.get $mean) (i32.const 16)))
        (local.set $square (i32.add (local.get $square) (i32.const 16)))
        (local.set $gradient (i32.add (local.get $gradient) (i32.const 16)))
        (br $next))))

  ;; g = scale * gradient; square <- square + g * g; parameters <- parameters - rate * g / sqrt(square)
  (func (export "descendWithAdagrad") (param $parameters i32) (param $square i32) (param $gradient i32) (param $n i32)
    (param $scale f32) (param $rate f32)
    (local $end i32) (local $s v128) (local $r v128) (local $g v128) (local $q v128)
    (local.set $end (i32.add (local.get $parameters) (i32.shl (local.get $n) (i32.const 2))))
    (local.set $s (f32x4.splat (local.get $scale)))
    (local.set $r (f32x4.splat (local.get $rate)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $parameters) (local.get $end)))
        (local.set $g (f32x4.mul (local.get $s) (v128.load (local.get $gradient))))
        (local.set $q (f32x4.add (v128.load (local.get $square)) (f32x4.mul (local.get $g) (local.get $g))))
        (v128.store (local.get $square) (local.get $q))
        (v128.store (local.get $parameters) (f32x4.sub (v128.load (local.get $parameters))
          (f32x4.div (f32x4.mul (local.get $r) (local.get $g)) (f32x4.sqrt (local.get $q)))))
        (local.set $parameters (i32.add (local.get $parameters) (i32.const 16)))
        (local.set $square (i32.add (local.get $square) (i32.const 16)))
        (local.set $gradient (i32.add (local.get $gradient) (i32.const 16)))
        (br $next))))

  ;; moving <- moving - (moving - batch) * share
  (func (export "moveAverages") (param $moving i32) (param $batch i32) (param $n i32) (param $share f32)
    (local $end i32) (local $s v128) (local $v v128)
    (local.set $end (i32.add (local.get $moving) (i32.shl (local.get $n) (i32.const 2))))
    (local.set $s (f32x4.splat (local.get $share)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $moving) (local.get $end)))
        (local.set $v (v128.load (local.get $moving)))
        (v128.store (local.get $moving) (f32x4.sub (local.get $v)
          (f32x4.mul (f32x4.sub (local.get $v) (v128.load (local.get $batch))) (local.get $s))))
        (local.set $moving (i32.add (local.get $moving) (i32.const 16)))
        (local.set $batch (i32.add (local.get $batch) (i32.const 16)))
        (br $next))))

  ;; bfloat16 -> float32
  (func (export "widen") (param $narrow i32) (param $wide i32) (param $n i32)
    (local $end i32) (local $v v128)
    (local.set $end (i32.add (local.get $narrow) (i32.shl (local.get $n) (i32.const 1))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $narrow) (local.get $end)))
        (local.set $v (v128.load (local.get $narrow)))
        (v128.store (local.get $wide) (i32x4.shl (i32x4.extend_low_i16x8_u (local.get $v)) (i32.const 16)))
        (v128.store offset=16 (local.get $wide) (i32x4.shl (i32x4.extend_high_i16x8_u (local.get $v)) (i32.const 16)))
        (local.set $narrow (i32.add (local.get $narrow) (i32.const 16)))
        (local.set $wide (i32.add (local.get $wide) (i32.const 32)))
        (br $next))))

  ;; the upper half, rounded to the nearest, ties to even; a NaN stays one
  (func $round (param $v v128) (result v128)
    (v128.bitselect
      (v128.or (i32x4.shr_u (local.get $v) (i32.const 16)) (i32x4.splat (i32.const 0x40)))
      (i32x4.shr_u
        (i32x4.add (local.get $v)
          (i32x4.add (i32x4.splat (i32.const 0x7fff))
            (v128.and (i32x4.shr_u (local.get $v) (i32.const 16)) (i32x4.splat (i32.const 1)))))
        (i32.const 16))
      (f32x4.ne (local.get $v) (local.get $v))))

  ;; float32 -> bfloat16
  (func (export "narrow") (param $wide i32) (param $narrow i32) (param $n i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $wide) (i32.shl (local.get $n) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $wide) (local.get $end)))
        (v128.store (local.get $narrow) (i16x8.narrow_i32x4_u
          (call $round (v128.load (local.get $wide)))
          (call $round (v128.load offset=16 (local.get $wide)))))
        (local.set $wide (i32.add (local.get $wide) (i32.const 32)))
        (local.set $narrow (i32.add (local.get $narrow) (i32.const 16)))
        (br $next))))
)
