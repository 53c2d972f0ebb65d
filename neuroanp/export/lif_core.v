// A recurrent network of leaky integrate-and-fire units in fixed point, one unit or one weight a clock cycle.
// v and i: @FRACTION@ bits after the point; y: @FRACTION_Y@. Inputs are @MODE@. >>> rounds towards minus infinity.
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
