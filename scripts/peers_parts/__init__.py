"""Times the course's training in NumPy, JAX and others beside layerbench: what scripts/peers runs. docs/peers.md says how and what.

The parent (main, rounds, kernels, products) imports no numeric library: it starts children, one for each contestant and
round, whose environment is complete before they start.

    options       the command line
    main          the order of things
    course        the models, where the data lie
    prepare       child: writes X, Y and the starting parameters for all
    contestants   who takes part, and what each computes
    worker        child: one contestant, once
    peer_*        one library each, with the ways it trains in
    ours          layerbench's own command line as a contestant
    environment   a child's variables
    child         starts, pins, limits and ends children
    kernels       which kernel of OpenBLAS is best here, by trial
    agree         whether a contestant's costs are the right ones
    rounds        who runs when
    figures       medians, spreads, ratios
    report        Markdown and JSON
    products      the skinny products alone, by library; products_worker is its child
    machine       what this machine is
"""
