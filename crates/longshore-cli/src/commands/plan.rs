//! `longshore run --dry-run`: what would be granted.

use comfy_table::{ContentArrangement, Table, presets};
use longshore::Plan;

use crate::text::clean;

/// The plan as a table, and what it wants to be known.
pub(crate) fn text(plan: &Plan) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["FIELD", "ASKED", "GRANTED", "REASON"]);
    for grant in &plan.grants {
        let cell = |text: Option<&String>| text.map_or_else(|| "-".to_owned(), |text| clean(text));
        let reason = grant.reason.as_deref().map(clean).unwrap_or_default();
        table.add_row([clean(&grant.field), cell(grant.asked.as_ref()), cell(grant.granted.as_ref()), reason]);
    }
    let mut text = format!("Plan for {} on host {}; nothing is launched.\n\n", plan.executor_type, plan.host);
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for notice in &plan.notices {
        text.push_str(&format!("\nNotice: {}\n", clean(notice)));
    }
    text
}
