// A network of layers of leaky integrate-and-fire units in fixed point, one unit or one weight a clock cycle.
// Inputs are @MODE@. Units of all layers lie side by side, layer after layer. >>> rounds towards minus infinity.
//
// rst        synchronous reset; states are zero when in_ready rises.
// start      one cycle while in_ready: forgets the past (a new sequence); in_ready falls until states are zero.
// in_valid   with in_ready: in_data is taken, and one step of the network begins. start goes first.
// in_data    one lane of LANE bits an input line, line 0 in the lowest bits.
// done       one cycle: spikes and outputs are those of the step; they stay until the next step or start.
// spikes     one bit a unit, unit 0 the lowest. outputs: one signed word of STATE bits an output, output 0 the lowest.
module lif_net #(
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
    localparam FACTORS = @FACTORS@;     // words in there: a_m, k_i, k_e, a_s of each layer, then a_r
    localparam [0:0] CURRENTS = @CURRENTS@; // whether lanes have a sign
    localparam WAIT = @WAIT@;
    localparam INDEX = @INDEX@;
    localparam ADDRESS = @ADDRESS@;
    localparam FACTOR = @FACTOR@;
    localparam STAGE = @STAGE@;
    localparam SUM = STATE + DECAY + 3;

    localparam [1:0] IDLE = 2'd0, CLEAR = 2'd1, RUN = 2'd2;
    localparam [2:0] CURRENT = 3'd0, SPREAD = 3'd1, READ = 3'd2, UPDATE = 3'd3, FADE = 3'd4; // add to e, i, y; v, i; y
    localparam [STAGE-1:0] LAST = @LAST@;

@MEMORIES@    reg signed [STATE-1:0] thresholds [0:UNITS-1];
    reg signed [STATE-1:0] constants_v [0:UNITS-1];
    reg signed [STATE-1:0] constants_i [0:UNITS-1];
    reg signed [STATE-1:0] constants_j [0:UNITS-1];
    reg signed [STATE-1:0] constants_y [0:OUTPUTS-1];
    reg signed [DECAY+1:0] decays [0:FACTORS-1];

    initial begin
@FILES@        $readmemh("thresholds.mem", thresholds);
        $readmemh("constants_v.mem", constants_v);
        $readmemh("constants_i.mem", constants_i);
        $readmemh("constants_j.mem", constants_j);
        $readmemh("constants_y.mem", constants_y);
        $readmemh("decays.mem", decays);
    end

    reg signed [STATE-1:0] v [0:UNITS-1];
    reg signed [STATE-1:0] i [0:UNITS-1];
    reg signed [STATE-1:0] e [0:UNITS-1];
    reg [WAIT-1:0] waits [0:UNITS-1];
    reg signed [STATE-1:0] y [0:OUTPUTS-1];

    reg [1:0] state;
    reg [STAGE-1:0] stage;
    reg [INDEX-1:0] pre;        // the line whose weights are added
    reg [INDEX-1:0] post;       // the unit or output of the stage that they are added to, or that takes its step
    reg [ADDRESS-1:0] base;     // of the line's weights
    reg [INPUTS*LANE-1:0] held; // the step's inputs

    assign in_ready = state == IDLE && !start;

    // The stages of a step, in their order. A sweep goes over lines (of the input, or spikes from unit `from` on) and,
    // of lines that carry something, over units or outputs from `to` on. A line that arrives at once is swept before
    // the units above take their step, one that arrives a step later after it.
    reg [2:0] kind;
    reg of_input;
    reg [INDEX-1:0] from, lines, to, posts;
    reg [5:0] shift;
    always @* begin
        case (stage)
@STAGES@            default: {kind, of_input, from, lines, to, posts, shift} = 0;
        endcase
    end
    wire signed [WEIGHT-1:0] weight =
@WEIGHTS@        0;

    // What units of a layer have in common: where its factors begin, steps of the refractory period, and the reset.
    reg [FACTOR-1:0] factor;
    reg [WAIT-1:0] hold;
    reg subtract, delayed, raised;
    always @* begin
        case (stage)
@LAYERS@            default: {factor, hold, subtract, delayed, raised} = 0;
        endcase
    end

    // One unit's step, or one output's. No sum overflows: the exporter has bounded each.
    wire [INDEX-1:0] unit = to + post;
    wire signed [DECAY+1:0] a_m = decays[factor];
    wire signed [DECAY+1:0] k_i = decays[factor + 1];
    wire signed [DECAY+1:0] k_e = decays[factor + 2];
    wire signed [DECAY+1:0] a_s = decays[factor + 3];
    wire signed [DECAY+1:0] a_r = decays[FACTORS-1];
    wire signed [STATE-1:0] j = i[unit] + constants_j[unit];
    wire signed [SUM-1:0] v_sum = a_m * v[unit] + k_i * j + k_e * e[unit];
    wire signed [SUM-1:0] i_sum = a_s * j;
    wire signed [SUM-1:0] y_sum = a_r * y[unit];
    wire signed [STATE-1:0] threshold = thresholds[unit];
    wire [WAIT-1:0] waiting = waits[unit] == 0 ? {WAIT{1'b0}} : waits[unit] - 1'b1;
    wire live = waiting == 0;
    wire signed [STATE-1:0] v_moved = live ? (v_sum >>> DECAY) + constants_v[unit] : v[unit];
    wire late = delayed && spikes[unit]; // still that of the step before
    wire signed [STATE-1:0] v_reset = subtract ? v_moved - threshold : 0;
    wire signed [STATE-1:0] v_now = late ? v_reset : v_moved;
    wire signed [STATE:0] to_cross = raised && v[unit] > threshold ? threshold <<< 1 : threshold;
    wire fires = live && v_now > to_cross;

    wire sweep = kind == CURRENT || kind == SPREAD || kind == READ;
    wire [LANE-1:0] lane = held[pre*LANE +: LANE];
    wire [INDEX-1:0] source = from + pre;
    wire signed [LANE:0] line = of_input ? {CURRENTS & lane[LANE-1], lane} : {{LANE{1'b0}}, spikes[source]};
    wire [ADDRESS-1:0] address = base + post;
    wire signed [STATE-1:0] product = weight * line;
    wire signed [STATE-1:0] term = product <<< shift;
    wire row_ends = (sweep && line == 0) || post == posts - 1'b1;
    wire stage_ends = row_ends && pre == lines - 1'b1;

    integer k;
    always @(posedge clk) begin
        done <= 1'b0;
        if (rst) begin
            state <= CLEAR;
            stage <= 0;
            pre <= 0;
            post <= 0;
            base <= 0;
        end else case (state)
            CLEAR: begin
                v[post] <= 0;
                i[post] <= 0;
                e[post] <= 0;
                waits[post] <= 0;
                spikes <= 0;
                for (k = 0; k < OUTPUTS; k = k + 1) y[k] <= 0;
                post <= post == UNITS - 1 ? 0 : post + 1'b1;
                if (post == UNITS - 1) state <= IDLE;
            end
            RUN: begin
                case (kind)
                    CURRENT: if (line != 0) e[unit] <= e[unit] + term;
                    SPREAD: if (line != 0) i[unit] <= i[unit] + term;
                    READ: if (line != 0) y[unit] <= y[unit] + term;
                    UPDATE: begin
                        v[unit] <= fires && !delayed ? v_reset : v_now;
                        i[unit] <= (i_sum >>> DECAY) + constants_i[unit];
                        e[unit] <= 0;
                        waits[unit] <= fires ? hold : waiting;
                        spikes[unit] <= fires;
                    end
                    default: y[unit] <= (y_sum >>> DECAY) + constants_y[unit]; // FADE
                endcase
                post <= row_ends ? 0 : post + 1'b1;
                if (row_ends) begin
                    pre <= stage_ends ? 0 : pre + 1'b1;
                    base <= stage_ends ? 0 : base + posts;
                end
                if (stage_ends) begin
                    stage <= stage == LAST ? 0 : stage + 1'b1;
                    state <= stage == LAST ? IDLE : RUN;
                    done <= stage == LAST;
                end
            end
            default: begin // IDLE
                held <= in_data;
                if (start) state <= CLEAR;
                else if (in_valid) state <= RUN;
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
