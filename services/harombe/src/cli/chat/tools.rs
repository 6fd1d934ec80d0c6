//! What there is: commands, agents with their models, tools with their risks.

use harombe_proto::agent::v1::ListToolsRequest;

use super::super::Error;
use super::Chat;
use super::command::NAMES;
use crate::terminal::{model_name, rows};

impl Chat {
    pub(super) fn help(&mut self) -> Result<(), Error> {
        let lines = NAMES.map(|(name, arguments, what)| [format!("{name} {arguments}"), what.to_owned()]);
        let mut lines = rows(
            ["command", "what it does"],
            &lines,
            self.view.room(),
            self.view.style(),
        );
        lines.push(String::new());
        self.view.lines(lines)?;
        if self.console.is_edited() {
            self.view
                .aside("Tab completes · ↑ and Ctrl-R bring back · \\ before Enter begins another line")?;
        }
        Ok(self
            .view
            .aside("Ctrl-C cancels a run, and leaves when pressed again")?)
    }

    pub(super) fn model(&mut self, agent: Option<String>) -> Result<(), Error> {
        if let Some(name) = agent {
            if self.agent_named(&name).is_none() {
                let told = self.no_such_agent(&name);
                return self.refuse(&told);
            }
            self.agent = name;
            return self.begin_anew();
        }
        let lines: Vec<_> = self
            .agents
            .iter()
            .map(|agent| {
                let here = if agent.name == self.agent { " ◂" } else { "" };
                [
                    format!("{}{here}", agent.name),
                    model_name(&agent.model),
                    agent.description.clone(),
                ]
            })
            .collect();
        let lines = rows(
            ["agent", "model", ""],
            &lines,
            self.view.room(),
            self.view.style(),
        );
        self.view.lines(lines)?;
        Ok(self
            .view
            .aside("◂ has the next session; /model AGENT takes another")?)
    }

    pub(super) async fn tools(&mut self) -> Result<(), Error> {
        let tools = self
            .client
            .agent
            .list_tools(ListToolsRequest {})
            .await?
            .into_inner()
            .tools;
        let lines: Vec<_> = tools
            .into_iter()
            .map(|tool| {
                [
                    tool.name.clone(),
                    usual_risk(&tool.name).to_owned(),
                    tool.description,
                ]
            })
            .collect();
        let lines = rows(
            ["tool", "usual risk", "what it does"],
            &lines,
            self.view.room(),
            self.view.style(),
        );
        self.view.lines(lines)?;
        Ok(self
            .view
            .aside("the server's rules decide about each call; from MEDIUM on a person is asked")?)
    }
}

/// The risk that a tool has unless a rule says otherwise; one that nobody knows is HIGH.
fn usual_risk(tool: &str) -> &'static str {
    match tool {
        "file_read" | "file_write" | "file_list" | "web_search" => "LOW",
        "web_fetch" => "LOW, MEDIUM",
        "memory_search" | "memory_save" | "memory_forget" => "none",
        _ => "HIGH",
    }
}
