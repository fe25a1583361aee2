//! The seeded bugs and what must catch each. How they are done is in `kernel`, `layer` and `backend`.

use super::Site;

macro_rules! bugs {
    ($($bug:ident, $name:literal, $site:ident, [$($check:literal),+], $what:literal;)*) => {
        /// One seeded bug. `None` is the same code without any; `Chatty` is none either.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Bug {
            None,
            Chatty,
            $($bug,)*
        }

        /// Bug, name, site, the checks that must catch it, and what it is.
        pub(super) const BUGS: &[(Bug, &str, Site, &[&str], &str)] =
            &[$((Bug::$bug, $name, Site::$site, &[$($check),+], $what),)*];
    };
}

bugs! {
    LeadingDimension, "leading_dimension", Kernel, ["memory_windows"], "rows are taken to follow each other without a gap";
    OffsetIgnored, "offset_ignored", Kernel, ["memory_windows"], "a window is read from one element before its start";
    ColumnTail, "column_tail_skipped", Kernel, ["t0_forward", "t0_backward"], "columns after the last whole tile of 8 are not written";
    DepthTail, "depth_tail_skipped", Kernel, ["t0_forward", "t0_backward"], "products after the last whole block of 4 are left out";
    OverRead, "tail_over_read", Kernel, ["memory_windows"], "the element after a row is read and multiplied by zero";
    OverWrite, "tail_over_written", Kernel, ["memory_guards"], "the element after a row is written";
    AccumulatorKept, "accumulator_kept", Kernel, ["t0_forward", "t0_backward"], "a tile of 4 rows starts from the sums of the one before";
    Accumulated, "output_accumulated", Kernel, ["t0_forward", "t0_backward"], "the product is added to what the output holds";
    BetaZero, "nan_through_beta", Kernel, ["t0_forward", "t0_backward"], "the output is multiplied by zero instead of overwritten";
    F32Sums, "f32_sums_in_f64", Kernel, ["t1_forward", "t1_backward", "t1_one_sign"], "sums of f64 products are kept in f32";
    F32SumsLarge, "f32_sums_when_large", Kernel, ["t1_workload"], "the same in products of 2^20 multiply-adds and more";
    DroppedProduct, "product_dropped_at_12288", Kernel, ["t0_workload", "t0_forward"], "one product of a sum of 12288 is left out";
    At209Columns, "wrong_at_209_columns", Kernel, ["t0_forward", "t0_workload"], "the last product is left out where there are exactly 209 columns";
    MiddleDepth, "depth_between_the_tried", Kernel, ["t0_forward"], "the last product is left out of sums of 257 to 2047 that no table has";
    At400Columns, "wrong_at_a_batch_of_400", Kernel, ["t0_workload"], "the same where there are exactly 400 columns";
    LargeTogether, "rows_and_columns_large_together", Kernel, ["t0_workload"], "the same where rows and columns are both 256 and more";
    OnThreeThreads, "wrong_on_three_threads", Kernel, ["t0_forward", "t0_backward"], "the same on three threads";
    OrderOfArrival, "large_sums_by_luck", Kernel, ["determinism_repeated"], "every other large product sums from the end";
    LargeGap, "gap_of_large_windows_ignored", Kernel, ["memory_windows"], "the last row of a large output whose rows have a gap is not written";
    ZeroSkipped, "zero_factor_skipped", Kernel, ["t6_nonfinite"], "products with a factor of zero are left out: 0 times infinity is not NaN";
    SubnormalsFlushed, "subnormals_flushed", Kernel, ["t6_subnormals"], "subnormal results become zero, by arithmetic and not by a mode";
    RemainderRows, "remainder_rows_dropped", Kernel, ["t0_forward", "t0_backward"], "rows that do not divide among the threads are not computed";
    ThreadSums, "sum_split_by_threads", Kernel, ["determinism_threads"], "a sum is split into as many parts as there are threads";
    OrderByLuck, "order_by_luck", Kernel, ["determinism_repeated"], "every other call sums from the end";
    WTransposed, "w_transposed", Layer, ["t0_forward", "t0_backward"], "W's memory is read with its sizes exchanged";
    WTransposedSquare, "w_transposed_square", Layer, ["t4_gradient", "t6_nonfinite"], "the same, on square layers only";
    BiasMissing, "bias_missing", Layer, ["t0_forward", "t1_forward"], "b is not added";
    BiasTwice, "bias_twice", Layer, ["t0_forward", "t1_forward"], "b is added twice";
    BiasAxis, "bias_along_the_batch", Layer, ["t0_forward", "t1_forward"], "b is indexed by the example";
    EmptySum, "empty_sum_uninitialised", Layer, ["t0_empty"], "without inputs Z is left as it was";
    ActivationInPlace, "activation_in_place", Layer, ["t0_forward"], "A is written over Z";
    ReluSwallowsNan, "relu_swallows_nan", Layer, ["t6_nonfinite"], "ReLU(NaN) is 0";
    SigmoidOverflows, "sigmoid_overflows", Layer, ["t6_nonfinite"], "exp(z) / (1 + exp(z)) for every z";
    SigmoidSlope, "sigmoid_slope_without_1_minus_a", Layer, ["t3_layer", "t4_gradient"], "s'(z) is taken for s(z)";
    ReluMaskEqual, "relu_mask_at_zero", Layer, ["t0_backward"], "ReLU's gradient is 1 at Z = 0";
    MaskOfInput, "relu_mask_from_a_prev", Layer, ["t0_backward", "t3_layer"], "ReLU's mask is taken from the A of the layer below";
    MaskMultiplied, "relu_mask_multiplied", Layer, ["t6_nonfinite"], "dZ is dA times 0 or 1, so that NaN in a dead dA leaks";
    DzTakenForDa, "dz_taken_for_da", Layer, ["t4_gradient", "t5_trajectory"], "dZ is multiplied by g'(Z) again";
    ScaleMissing, "scale_missing", Layer, ["t0_scale", "t1_backward", "t3_implicit_layer"], "dW carries no scale";
    ScaleTwice, "scale_twice", Layer, ["t0_scale", "t1_backward"], "dW carries the scale twice";
    ScaleOnInput, "scale_on_da_prev", Layer, ["t0_scale", "t1_backward"], "dA_prev carries the scale";
    DbScaleMissing, "scale_missing_on_db", Layer, ["t0_scale", "t1_backward"], "db carries no scale";
    DwSign, "dw_sign", Layer, ["t0_backward", "t4_gradient"], "dW has the wrong sign";
    DbSign, "db_sign", Layer, ["t0_backward", "t4_gradient"], "db has the wrong sign";
    DbAxis, "db_over_the_units", Layer, ["t0_backward", "t4_gradient"], "db sums over the units, not over the examples";
    DbWithInputOnly, "db_only_with_da_prev", Layer, ["state_equivalent_calls"], "db is written only where dA_prev is asked for";
    RacyReduction, "racy_reduction", Layer, ["t0_backward"], "two threads add their halves of db to the same number; a barrier makes one be lost";
    UpdatedW, "da_from_updated_w", Layer, ["t0_backward", "t4_gradient"], "dA_prev is taken from W after the step";
    StaleCache, "stale_cache", Layer, ["state_forward_twice"], "backward uses the Z of the last forward pass";
    SecondCall, "wrong_from_second_call", Layer, ["state_changing_inputs"], "b is added in the first call only";
    LateCall, "wrong_after_60_calls", Layer, ["t5_trajectory", "state_many_calls"], "b is no longer added after 60 calls";
    FlushLeftOn, "flush_to_zero_left_on", Layer, ["t6_float_state"], "the pass sets the processor's flush-to-zero mode and leaves it on";
    LastActivation, "activation_of_the_last_plan", Engine, ["state_other_layers"], "a layer applies the activation of the layer that was planned last";
    SharedScratch, "scratch_shared_by_engines", Engine, ["determinism_concurrent"], "all engines use one scratch memory; they wait for each other to make it happen";
    BoundScale, "bound_scale_missing", Engine, ["t3_bound_layer"], "the bound layer's step carries no scale";
    BoundImport, "bound_import_ignored", Engine, ["state_bound_import"], "a bound layer that has stepped ignores what is imported";
    SerialFallback, "silent_serial_fallback", Registry, ["state_engine"], "asked for several threads it opens an engine of one";
    SeventhCall, "wrong_at_every_7th_call", Layer, ["state_many_calls"], "Z is wrong by 1000 ulp in every seventh call of a layer";
    ByteCounter, "counter_wraps_at_256", Layer, ["state_many_calls"], "dW is zero where a counter of backward passes in a byte is";
    ZByShape, "z_kept_by_shape", Engine, ["state_equal_layers"], "backward uses the Z that the engine keeps for layers of this shape";
    CachedByAddress, "input_cached_by_address", Layer, ["state_same_buffers"], "a large A_prev at the same address is taken for the same";
    CachedBySample, "input_cached_by_a_sample", Layer, ["state_same_buffers"], "a large A_prev with the same first, middle and last element is taken for the same";
    BoundBySample, "bound_input_cached_by_a_sample", Engine, ["state_same_buffers"], "the same for the X of a bound layer";
    SkipsAlike, "alike_calls_skipped", Layer, ["state_same_buffers"], "after 20 calls that look alike by place and three elements, of A_prev and of the Z that was left there, the work is skipped";
    OnPlansThread, "plan_in_thread_local_memory", Layer, ["state_other_threads"], "b is not added on other threads than the one that planned";
    DropElsewhere, "drop_on_another_thread", Layer, ["state_other_threads"], "a layer that is dropped on another thread than the one that planned it panics";
    WrongLarge, "wrong_above_1e100", Kernel, ["t6_magnitudes"], "results above 1e100 lose their last bits";
    SigmoidLinear, "sigmoid_linear_near_zero", Layer, ["t6_sigmoid"], "sigmoid is 1/2 + z/4 where abs(z) is below 0.01";
    OrderByProcess, "order_by_process", Kernel, ["determinism_processes"], "a sum starts at a place that the number of the process decides";
    SharedPacking, "packed_in_one_buffer", Kernel, ["determinism_concurrent"], "transposed operands of all callers are packed into one buffer, and used a moment later";
    LastStride, "scratch_strided_by_the_last_plan", Engine, ["state_plan_order"], "rows of dZ are as far apart as the layer that was planned last needs it";
    PlannedStride, "scratch_strided_by_the_plan", Layer, ["state_fewer_examples"], "rows of dZ are as far apart as the layer was planned for, in calls with fewer examples too";
    BoundColumns, "bound_columns_ignored", Engine, ["t3_bound_layer"], "the bound layer computes on the first columns of X, whichever were asked for";
    BiasRemembered, "result_remembered_without_b", Layer, ["state_one_argument"], "Z is remembered by W and A_prev: another b alone changes nothing";
    ScaleZero, "scale_of_zero_writes_nothing", Layer, ["state_one_argument"], "with a scale of 0 dW and db are left as they are";
    NanInBlocks, "relu_swallows_nan_in_blocks", Layer, ["t6_nonfinite"], "ReLU(NaN) is 0 in whole blocks of 64 columns, and NaN in what is left";
    FirstCallRace, "first_calls_race", Layer, ["determinism_processes"], "the first call of a process makes a table; who comes meanwhile adds no b";
    ThreadPerLayer, "thread_of_each_layer", Layer, ["threads_quiet"], "each layer starts a thread that sleeps for ever";
    BoundGap, "gap_of_bound_input_ignored", Engine, ["memory_bound_windows"], "the rows of the X of a bound layer are taken to follow each other without a gap";
    BoundOutputOnce, "bound_a_written_once", Engine, ["memory_bound_windows"], "a bound layer writes A in its first forward pass only";
    LazyDecay, "decay_lost_between_looks", Engine, ["t3_bound_layer"], "of two steps with no forward pass between them the second does not decay";
    LostAtError, "scratch_lost_at_an_error", Layer, ["state_after_error"], "a layer that has refused a call adds no b any more";
    DwUnchecked, "shape_of_dw_unchecked", Layer, ["state_refusals"], "a dW of the wrong shape is taken, and left as it is";
    Allocates, "allocates_more_than_declared", Kernel, ["memory_allocations"], "declares that a product allocates nothing, and it does";
    LeakPass, "leak_in_each_pass", Layer, ["memory_growth"], "each backward pass leaves n m numbers behind";
    LeakLayer, "leak_of_each_layer", Layer, ["memory_growth"], "each layer that is dropped leaves n m numbers behind";
    UsesFour, "serial_uses_four_threads", Engine, ["threads_used"], "declared serial, it computes on four threads";
    UsesFourLater, "serial_uses_four_threads_later", Layer, ["threads_used"], "the same from the 20th pass of a layer on";
    UsesOne, "parallel_uses_one_thread", Engine, ["threads_used"], "it has the threads that were asked for, and computes on one";
    FirstCount, "threads_of_the_first_engine", Engine, ["threads_used"], "all engines of a process compute on as many threads as the first";
    SpinsAfterDrop, "helper_spins_after_drop", Engine, ["threads_quiet"], "a thread looks for work for ever when the engine is gone";
    FlushLarge, "flush_to_zero_left_on_by_large_passes", Layer, ["t6_float_state"], "the mode is left on by backward passes of 2^20 multiply-adds";
    DecayIgnored, "decay_ignored", Engine, ["t3_bound_layer"], "the bound layer's step does not decay";
    ImportPending, "import_leaves_a_step_pending", Engine, ["state_bound_import"], "the last step before an import is done once more after it";
    ExportPending, "export_leaves_a_step_out", Engine, ["t3_bound_layer"], "an export before the next forward pass lacks the last step";
    NestedDeadlock, "deadlock_in_a_nested_run", Engine, ["state_nested"], "a run inside the run waits for it to end";
    EndsAlike, "neighbours_taken_for_equal", Layer, ["t0_alike"], "an example whose first two and last two inputs are its neighbour's gets its Z";
    ExitLate, "exit_in_a_late_call", Process, ["state_many_calls"], "the process ends with exit code 0 in a layer's call number 150";
    Abort, "abort", Process, ["t0_forward"], "the process aborts";
    Segfault, "segmentation_fault", Process, ["t0_forward"], "the process gets the signal of a wrong address";
    Deadlock, "deadlock", Process, ["t0_forward"], "a pass never comes back";
    WorkerPanic, "panic_in_a_worker", Process, ["t0_forward"], "a worker panics, and the caller says that all is well";
    ClosesDescriptors, "closes_descriptors", Process, ["t0_forward"], "descriptors 3 to 20 are closed";
    ExitAtDrop, "exit_when_an_engine_is_dropped", Process, ["t0_forward", "threads_quiet", "determinism_repeated"], "the process ends with exit code 0 when an engine is dropped";
    PanicAtDrop, "panic_when_a_layer_is_dropped", Process, ["t0_forward", "t3_layer"], "a layer that has computed panics when it is dropped";
    OtherBackend, "silent_other_backend", Registry, ["state_engine"], "every other opening gives an engine of another backend";
}
