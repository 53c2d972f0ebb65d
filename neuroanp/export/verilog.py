"""Verilog of the fixed-point network: the core, its testbench and its memory files.

The core works one unit, or one weight, a clock cycle. A step is

    INPUT   E += W_in[:, line] u[line]     I lines x N units, silent lines take one cycle
    UPDATE  V, I, spike, refractory        N units
    SPREAD  I += W[:, line] << shift       N lines, those that spiked x N units
    FADE    Y <- ((a Y) >>> d) + C_y       O outputs
    READ    Y += W_out[:, line] << shift   N lines, those that spiked x O outputs
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from neuroanp.export.fixed_point import FixedPoint

FACTORS = ("a_m", "k_i", "k_e", "a_s", "a_r")


def memory(values: Any, bits: int, title: str) -> str:
    """Return a file for $readmemh: a comment, then one word a line, two's complement in hexadecimal.

    >>> print(memory([1, -1, -8], 4, "three words"), end="")
    // three words
    1
    f
    8
    >>> memory([8], 4, "too large")
    Traceback (most recent call last):
    ...
    ValueError: 8 does not fit into 4 bits
    """
    words = [int(value) for value in np.asarray(values).ravel()]
    for word in words:
        if not -(1 << bits - 1) <= word < 1 << bits - 1:
            raise ValueError(f"{word} does not fit into {bits} bits")
    return "".join([f"// {title}\n", *(f"{hexadecimal(word, bits)}\n" for word in words)])


def hexadecimal(word: int, bits: int) -> str:
    """Return a whole number in two's complement, as many digits as the bits take.

    >>> hexadecimal(-2, 10), hexadecimal(5, 3)
    ('3fe', '5')
    """
    return f"{word & ((1 << bits) - 1):0{-(-bits // 4)}x}"


def packed(lanes: Any, bits: int) -> int:
    """Return whole numbers side by side in one word, the first in the lowest bits.

    >>> hex(packed([1, -1], 8))
    '0xff01'
    """
    return sum((int(lane) & ((1 << bits) - 1)) << bits * k for k, lane in enumerate(lanes))


def lane_bits(fixed: FixedPoint) -> int:
    """Return the width of one input line."""
    return fixed.bits.input if fixed.currents else 1


def factor_bits(fixed: FixedPoint) -> int:
    """Return the width of a factor, which may be 1 and has a sign."""
    return fixed.bits.decay + 2


def memories(fixed: FixedPoint) -> dict[str, str]:
    """Return the memory files of the core by name."""
    state, weight, factor = fixed.bits.state, fixed.bits.weight, factor_bits(fixed)
    N, O = len(fixed.v), len(fixed.y)  # noqa: E741
    files = {
        name: memory(W.values.T, weight, f"{name}, scale {W.scale!r}: word line * {posts} + {post}")
        for name, W, posts, post in (
            ("w_in", fixed.w_in, N, "unit"), ("w", fixed.w, N, "unit"), ("w_out", fixed.w_out, O, "output"),
        )
    }  # fmt: skip
    point = f"{fixed.fraction} bits after the point"
    files["thresholds"] = memory(fixed.threshold, state, f"threshold of each unit, {point}")
    files["constants_v"] = memory(fixed.v, state, f"added to v of each unit in every step, {point}")
    files["constants_i"] = memory(fixed.i, state, f"added to i of each unit in every step, {point}")
    files["constants_y"] = memory(fixed.y, state, f"added to y in every step, {fixed.fraction_y} bits after the point")
    title = f"{' '.join(FACTORS)} as fractions of 2^{fixed.bits.decay}"
    files["decays"] = memory([fixed.factors[name] for name in FACTORS], factor, title)
    return {f"{name}.mem": text for name, text in files.items()}


def core(fixed: FixedPoint) -> str:
    """Return lif_core.v."""
    I, N, O = fixed.w_in.values.shape[1], len(fixed.v), len(fixed.y)  # noqa: E741
    in_shift, shift, out_shift = fixed.shifts
    current, spikes = ("", " + $signed(e[n] <<< IN_SHIFT)") if not fixed.currents else (
        " + k_e * $signed(e[n] <<< IN_SHIFT)", ""
    )  # fmt: skip
    names = {
        "INPUTS": I, "UNITS": N, "OUTPUTS": O, "LANE": lane_bits(fixed), "STATE": fixed.bits.state,
        "WEIGHT": fixed.bits.weight, "DECAY": fixed.bits.decay, "IN_SHIFT": in_shift, "SHIFT": shift,
        "OUT_SHIFT": out_shift, "HOLD": fixed.hold, "WAIT": max(1, fixed.hold.bit_length()),
        "INDEX": max(I, N, O).bit_length(), "ADDRESS": (max(I, N, O) * max(N, O)).bit_length(),
        "FIXED": _fixed(fixed), "LINE": "{1'b0, line_bits}" if not fixed.currents else "{line_bits[LANE-1], line_bits}",
        "CURRENT": current, "SPIKES": spikes, **_reset(fixed),
        "MODE": "signed currents" if fixed.currents else "spikes",
    }  # fmt: skip
    return _filled(CORE, names)


def bench(fixed: FixedPoint, steps: int, sequences: int) -> str:
    """Return testbench.v, which drives the core with stimulus.mem and compares with expected.txt."""
    I, N, O = fixed.w_in.values.shape[1], len(fixed.v), len(fixed.y)  # noqa: E741
    cycles = 4 * ((I + N) * N + N * O + I + 2 * N + O + 16)  # a step takes fewer than a quarter of these
    names = {
        "INPUTS": I, "UNITS": N, "OUTPUTS": O, "LANE": lane_bits(fixed), "STATE": fixed.bits.state,
        "STEPS": steps, "SEQUENCES": sequences, "CYCLES": cycles, "WEIGHT": fixed.bits.weight,
        "FACTOR": factor_bits(fixed), "FACTORS": len(FACTORS),
    }  # fmt: skip
    return _filled(TESTBENCH, names)


def _fixed(fixed: FixedPoint) -> str:
    return f"v and i: {fixed.fraction} bits after the point; y: {fixed.fraction_y}"


def _reset(fixed: FixedPoint) -> dict[str, str]:
    """Return what differs between kinds of reset in the step of a unit."""
    plain = {
        "MOVED": "v_now",
        "LATE": "",
        "CROSSED": "threshold",
        "RESET": f"fires ? {'v_now - threshold' if fixed.subtract else '0'} : v_now",
    }
    wire = "    wire signed [STATE"
    if fixed.delayed:  # spikes[n] is that of the step before until this one's is known
        late = f"{wire}-1:0] v_now = spikes[n] ? {'v_moved - threshold' if fixed.subtract else '0'} : v_moved;\n"
        return plain | {"MOVED": "v_moved", "LATE": late, "RESET": "v_now"}
    if fixed.raised:
        late = f"{wire}:0] to_cross = v[n] > threshold ? threshold <<< 1 : threshold;\n"
        return plain | {"LATE": late, "CROSSED": "to_cross"}
    return plain


def _filled(text: str, names: dict[str, Any]) -> str:
    for name, value in names.items():
        text = text.replace(f"@{name}@", str(value))
    return text


CORE = """\
// A recurrent network of leaky integrate-and-fire units in fixed point, one unit or one weight a clock cycle.
// @FIXED@. Inputs are @MODE@. >>> rounds towards minus infinity.
//
// rst        synchronous reset; states are zero when in_ready rises.
// start      one cycle while in_ready: forgets the past (a new sequence); in_ready falls until states are zero.
// in_valid   with in_ready: in_data is taken, and one step of the network begins. start goes first.
// in_data    one lane of LANE bits an input line, line 0 in the lowest bits.
// done       one cycle: spikes and outputs are those of the step; they stay until the next step or start.
// spikes     one bit a unit, unit 0 the lowest. outputs: one signed word of STATE bits an output, output 0 the lowest.
module lif_core #(
    parameter INPUTS = @INPUTS@,
    parameter UNITS = @UNITS@,
    parameter OUTPUTS = @OUTPUTS@,
    parameter LANE = @LANE@,
    parameter STATE = @STATE@
) (
    input wire clk,
    input wire rst,
    input wire start,
    input wire in_valid,
    output wire in_ready,
    input wire [INPUTS*LANE-1:0] in_data,
    output reg done,
    output reg [UNITS-1:0] spikes,
    output wire [OUTPUTS*STATE-1:0] outputs
);
    localparam WEIGHT = @WEIGHT@;      // bits of a weight
    localparam DECAY = @DECAY@;       // bits of the fractions in decays.mem
    localparam IN_SHIFT = @IN_SHIFT@;
    localparam SHIFT = @SHIFT@;
    localparam OUT_SHIFT = @OUT_SHIFT@;
    localparam HOLD = @HOLD@;        // refractory period in steps
    localparam WAIT = @WAIT@;
    localparam INDEX = @INDEX@;
    localparam ADDRESS = @ADDRESS@;
    localparam SUM = STATE + DECAY + 3;

    localparam [2:0] IDLE = 3'd0, CLEAR = 3'd1, INPUT = 3'd2, UPDATE = 3'd3, SPREAD = 3'd4, FADE = 3'd5, READ = 3'd6;

    reg signed [WEIGHT-1:0] w_in [0:INPUTS*UNITS-1];
    reg signed [WEIGHT-1:0] w [0:UNITS*UNITS-1];
    reg signed [WEIGHT-1:0] w_out [0:UNITS*OUTPUTS-1];
    reg signed [STATE-1:0] thresholds [0:UNITS-1];
    reg signed [STATE-1:0] constants_v [0:UNITS-1];
    reg signed [STATE-1:0] constants_i [0:UNITS-1];
    reg signed [STATE-1:0] constants_y [0:OUTPUTS-1];
    reg signed [DECAY+1:0] decays [0:4];

    initial begin
        $readmemh("w_in.mem", w_in);
        $readmemh("w.mem", w);
        $readmemh("w_out.mem", w_out);
        $readmemh("thresholds.mem", thresholds);
        $readmemh("constants_v.mem", constants_v);
        $readmemh("constants_i.mem", constants_i);
        $readmemh("constants_y.mem", constants_y);
        $readmemh("decays.mem", decays);
    end

    reg signed [STATE-1:0] v [0:UNITS-1];
    reg signed [STATE-1:0] i [0:UNITS-1];
    reg signed [STATE-1:0] e [0:UNITS-1];
    reg [WAIT-1:0] waits [0:UNITS-1];
    reg signed [STATE-1:0] y [0:OUTPUTS-1];

    reg [2:0] state;
    reg [INDEX-1:0] pre;        // the line whose weights are added
    reg [INDEX-1:0] post;       // the unit or output they are added to
    reg [INDEX-1:0] n;          // the unit or output whose states take their step
    reg [ADDRESS-1:0] base;     // of the line's weights
    reg [INPUTS*LANE-1:0] held; // the step's inputs

    assign in_ready = state == IDLE && !start;

    // Factors of one step.
    wire signed [DECAY+1:0] a_m = decays[0];
    wire signed [DECAY+1:0] k_i = decays[1];
    wire signed [DECAY+1:0] k_e = decays[2];
    wire signed [DECAY+1:0] a_s = decays[3];
    wire signed [DECAY+1:0] a_r = decays[4];

    // One unit's step. No sum overflows: the exporter has bounded each.
    wire signed [SUM-1:0] v_sum = a_m * v[n] + k_i * i[n]@CURRENT@;
    wire signed [SUM-1:0] i_sum = a_s * i[n];
    wire signed [SUM-1:0] y_sum = a_r * y[n];
    wire signed [STATE-1:0] threshold = thresholds[n];
    wire [WAIT-1:0] waiting = waits[n] == 0 ? {WAIT{1'b0}} : waits[n] - 1'b1;
    wire live = waiting == 0;
    wire signed [STATE-1:0] @MOVED@ = live ? (v_sum >>> DECAY) + constants_v[n] : v[n];
@LATE@    wire fires = live && v_now > @CROSSED@;

    // A sweep over lines (pre) and, of lines that carry something, over what they reach (post).
    wire [LANE-1:0] line_bits = held[pre*LANE +: LANE];
    wire signed [LANE:0] line = @LINE@;
    wire [ADDRESS-1:0] address = base + post;
    wire [INDEX-1:0] posts = state == READ ? OUTPUTS : UNITS;
    wire [INDEX-1:0] pres = state == INPUT ? INPUTS : UNITS;
    wire active = state == INPUT ? line != 0 : spikes[pre];
    wire row_ends = !active || post == posts - 1'b1;
    wire sweep_ends = row_ends && pre == pres - 1'b1;

    integer k;
    always @(posedge clk) begin
        done <= 1'b0;
        if (rst) begin
            state <= CLEAR;
            pre <= 0;
            post <= 0;
            n <= 0;
            base <= 0;
        end else case (state)
            IDLE: begin
                held <= in_data;
                if (start) state <= CLEAR;
                else if (in_valid) state <= INPUT;
            end
            CLEAR: begin
                v[n] <= 0;
                i[n] <= 0;
                e[n] <= 0;
                waits[n] <= 0;
                spikes <= 0;
                for (k = 0; k < OUTPUTS; k = k + 1) y[k] <= 0;
                n <= n == UNITS - 1 ? 0 : n + 1'b1;
                if (n == UNITS - 1) state <= IDLE;
            end
            UPDATE: begin
                v[n] <= @RESET@;
                i[n] <= (i_sum >>> DECAY) + constants_i[n]@SPIKES@;
                e[n] <= 0;
                waits[n] <= fires ? HOLD : waiting;
                spikes[n] <= fires;
                n <= n == UNITS - 1 ? 0 : n + 1'b1;
                if (n == UNITS - 1) state <= SPREAD;
            end
            FADE: begin
                y[n] <= (y_sum >>> DECAY) + constants_y[n];
                n <= n == OUTPUTS - 1 ? 0 : n + 1'b1;
                if (n == OUTPUTS - 1) state <= READ;
            end
            default: begin // INPUT, SPREAD, READ
                if (active) begin
                    if (state == INPUT) e[post] <= e[post] + w_in[address] * line;
                    if (state == SPREAD) i[post] <= i[post] + (w[address] <<< SHIFT);
                    if (state == READ) y[post] <= y[post] + (w_out[address] <<< OUT_SHIFT);
                end
                post <= row_ends ? 0 : post + 1'b1;
                if (row_ends) begin
                    pre <= sweep_ends ? 0 : pre + 1'b1;
                    base <= sweep_ends ? 0 : base + posts;
                end
                if (sweep_ends) begin
                    state <= state == INPUT ? UPDATE : state == SPREAD ? FADE : IDLE;
                    done <= state == READ;
                end
            end
        endcase
    end

    genvar o;
    generate
        for (o = 0; o < OUTPUTS; o = o + 1) begin : lanes
            assign outputs[o*STATE +: STATE] = y[o];
        end
    endgenerate
endmodule
"""

TESTBENCH = """\
// Drives lif_core with stimulus.mem, writes observed.txt and compares each line with expected.txt: the spikes of a
// step in hexadecimal, then its outputs. Ends with PASS, or with FAIL and exit code 1.

// Ends with FAIL where a memory file is cut or damaged: a unit that never spikes would hide it.
module memory_file #(
    parameter NAME = "",
    parameter WIDTH = 1,
    parameter WORDS = 1
);
    reg [WIDTH-1:0] words [0:WORDS-1];
    integer k, missing;

    initial begin
        $readmemh(NAME, words);
        missing = 0;
        for (k = 0; k < WORDS; k = k + 1) if (^words[k] === 1'bx) missing = missing + 1;
        if (missing != 0) $fatal(1, "FAIL: %0s: %0d of %0d words are missing or no numbers", NAME, missing, WORDS);
    end
endmodule

module testbench;
    localparam INPUTS = @INPUTS@, UNITS = @UNITS@, OUTPUTS = @OUTPUTS@, LANE = @LANE@, STATE = @STATE@;
    localparam STEPS = @STEPS@, SEQUENCES = @SEQUENCES@, CYCLES = @CYCLES@;
    localparam WEIGHT = @WEIGHT@, FACTOR = @FACTOR@, FACTORS = @FACTORS@;

    memory_file #(.NAME("w_in.mem"), .WIDTH(WEIGHT), .WORDS(INPUTS * UNITS)) w_in ();
    memory_file #(.NAME("w.mem"), .WIDTH(WEIGHT), .WORDS(UNITS * UNITS)) w ();
    memory_file #(.NAME("w_out.mem"), .WIDTH(WEIGHT), .WORDS(UNITS * OUTPUTS)) w_out ();
    memory_file #(.NAME("thresholds.mem"), .WIDTH(STATE), .WORDS(UNITS)) thresholds ();
    memory_file #(.NAME("constants_v.mem"), .WIDTH(STATE), .WORDS(UNITS)) constants_v ();
    memory_file #(.NAME("constants_i.mem"), .WIDTH(STATE), .WORDS(UNITS)) constants_i ();
    memory_file #(.NAME("constants_y.mem"), .WIDTH(STATE), .WORDS(OUTPUTS)) constants_y ();
    memory_file #(.NAME("decays.mem"), .WIDTH(FACTOR), .WORDS(FACTORS)) decays ();
    memory_file #(.NAME("stimulus.mem"), .WIDTH(INPUTS * LANE), .WORDS(STEPS * SEQUENCES)) stimulus_file ();

    reg clk = 0, rst = 1, start = 0, in_valid = 0;
    reg [INPUTS*LANE-1:0] in_data = 0;
    wire in_ready, done;
    wire [UNITS-1:0] spikes;
    wire [OUTPUTS*STATE-1:0] outputs;

    lif_core core (
        .clk(clk), .rst(rst), .start(start), .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
        .done(done), .spikes(spikes), .outputs(outputs)
    );

    always #5 clk = !clk;

    reg [INPUTS*LANE-1:0] stimulus [0:STEPS*SEQUENCES-1];
    reg [UNITS+3:0] want_spikes;
    reg signed [63:0] want, got;
    reg signed [STATE-1:0] word;
    integer expected, observed, sequence_number, t, o, read, wrong, differ, cycles;

    initial begin
        $readmemh("stimulus.mem", stimulus);
        expected = $fopen("expected.txt", "r");
        observed = $fopen("observed.txt", "w");
        if (expected == 0 || observed == 0) $fatal(1, "FAIL: expected.txt or observed.txt cannot be opened");
        wrong = 0;
        repeat (2) @(negedge clk);
        rst = 0;
        for (sequence_number = 0; sequence_number < SEQUENCES; sequence_number = sequence_number + 1) begin
            idle;
            start = 1;
            @(negedge clk);
            start = 0;
            for (t = 0; t < STEPS; t = t + 1) step(sequence_number * STEPS + t);
        end
        read = $fscanf(expected, " %h", want_spikes);
        if (read > 0) begin
            wrong = wrong + 1;
            $display("expected.txt goes on after the last step");
        end
        $fclose(observed);
        if (wrong != 0) $fatal(1, "FAIL: %0d of %0d lines differ", wrong, STEPS * SEQUENCES);
        $display("PASS: %0d lines equal", STEPS * SEQUENCES);
        $finish;
    end

    task idle;
        begin
            cycles = 0;
            while (in_ready !== 1'b1) tick;
        end
    endtask

    task tick;
        begin
            @(negedge clk);
            cycles = cycles + 1;
            if (cycles > CYCLES) $fatal(1, "FAIL: the core does not answer within %0d cycles", CYCLES);
        end
    endtask

    task step(input integer line);
        begin
            idle;
            in_data = stimulus[line];
            in_valid = 1;
            tick;
            in_valid = 0;
            while (done !== 1'b1) tick;
            read = $fscanf(expected, " %h", want_spikes);
            differ = read != 1 || want_spikes !== {4'b0, spikes};
            $fwrite(observed, "%h", spikes);
            for (o = 0; o < OUTPUTS; o = o + 1) begin
                word = outputs[o*STATE +: STATE];
                got = word;
                read = $fscanf(expected, "%d", want);
                if (read != 1 || want !== got) differ = 1;
                $fwrite(observed, " %0d", word);
            end
            $fwrite(observed, "\\n");
            if (differ != 0) begin
                wrong = wrong + 1;
                if (wrong <= 5) $display("line %0d differs from expected.txt", line + 1);
            end
        end
    endtask
endmodule
"""
