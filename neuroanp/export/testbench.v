// Drives @CORE@ with stimulus.mem, writes observed.txt and compares each line with expected.txt: the spikes of a
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

@ARRAYS@    memory_file #(.NAME("thresholds.mem"), .WIDTH(STATE), .WORDS(UNITS)) thresholds ();
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

    @CORE@ core (
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
            $fwrite(observed, "\n");
            if (differ != 0) begin
                wrong = wrong + 1;
                if (wrong <= 5) $display("line %0d differs from expected.txt", line + 1);
            end
        end
    endtask
endmodule
