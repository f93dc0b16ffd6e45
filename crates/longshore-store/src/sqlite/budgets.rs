//! What was charged on budgets: totals that every charge changes in its own transaction.

use jiff::Timestamp;
use longshore_core::{price::Money, route::BudgetName};
use rusqlite::{Connection, OptionalExtension, params};
use rust_decimal::Decimal;
use std::collections::BTreeSet;

use super::{
    fault::Outcome,
    rows::all,
    values::{Parsed, json_list},
};
use crate::Charge;

fn period_text(period: Option<Timestamp>) -> String {
    period.map(|period| period.to_string()).unwrap_or_default()
}

/// Puts the charges after a change in the place of those before it.
pub(super) fn charge(connection: &Connection, before: &[Charge], after: &[Charge]) -> Outcome<()> {
    if before == after {
        return Ok(());
    }
    for charge in after {
        add(connection, charge, charge.amount.amount())?;
    }
    for charge in before {
        add(connection, charge, -charge.amount.amount())?;
    }
    Ok(())
}

fn add(connection: &Connection, charge: &Charge, amount: Decimal) -> Outcome<()> {
    const READ: &str = "SELECT amount FROM budgets WHERE budget = ?1 AND period = ?2 AND currency = ?3";
    const WRITE: &str = "INSERT INTO budgets (budget, period, currency, amount) VALUES (?1, ?2, ?3, ?4) \
                         ON CONFLICT DO UPDATE SET amount = excluded.amount";
    let (budget, period, currency) = (charge.budget.as_str(), period_text(charge.period), charge.amount.currency());
    let key = params![budget, period, currency.as_str()];
    let read = |row: &rusqlite::Row<'_>| row.get::<_, Parsed<Decimal>>(0);
    let total = connection.prepare_cached(READ)?.query_row(key, read).optional()?.map_or(Decimal::ZERO, |it| it.0);
    let total = total.saturating_add(amount).to_string();
    connection.prepare_cached(WRITE)?.execute(params![budget, period, currency.as_str(), total])?;
    Ok(())
}

/// What was charged in these periods, by budget, period and currency.
pub(super) fn charged(connection: &Connection, periods: &[(BudgetName, Option<Timestamp>)]) -> Outcome<Vec<Charge>> {
    const TOTALS: &str = "SELECT currency, amount FROM budgets WHERE budget = ?1 AND period = ?2 ORDER BY currency";
    let mut charged = Vec::new();
    for (budget, period) in periods.iter().collect::<BTreeSet<_>>() {
        let parameters = params![budget.as_str(), period_text(*period)];
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Parsed<_>>(0)?.0, row.get::<_, Parsed<Decimal>>(1)?.0));
        for (currency, amount) in all(connection.prepare_cached(TOTALS)?, parameters, read)? {
            let amount = Money::new(amount, currency);
            charged.extend(amount.map(|amount| Charge::new(budget.clone(), *period, amount)));
        }
    }
    Ok(charged)
}

/// Puts charges in the place of an attempt's.
pub(super) fn recharge(connection: &Connection, attempt: i64, before: &[Charge], after: &[Charge]) -> Outcome<()> {
    const CHARGES: &str = "UPDATE attempts SET charges = ?2 WHERE no = ?1";
    if before == after {
        return Ok(());
    }
    charge(connection, before, after)?;
    connection.prepare_cached(CHARGES)?.execute(params![attempt, json_list(after)?])?;
    Ok(())
}
